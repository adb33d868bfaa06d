"""Training of the VAE of the richer world, from the plain world's: what it encoded before it encodes as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..world import render
from .latents import rich_scene_of
from .loop import Plan, write_weights
from .vae import decode_clip, encode_clip, load_vae, sample_clip
from .vae_training import fit, picture_error

NOISE = 0.1  # added before decoding, in deviations of Wan 2.1's latents
KEPT = 0.02  # weight on how far latents of plain clips move, so that a network of the plain world is a start
INDICES = 10**6  # scenes are drawn from so many


def draw(seed: int, step: int, count: int, frames: int) -> tuple[Tensor, Tensor]:
    """Clips ``[B, 3, T, 64, 64]`` in [-1, 1] of a step, and which of them are of the plain world."""
    rng = np.random.default_rng((seed, 41, step))
    plain = np.arange(count) % 3 == step % 3
    clips = np.stack([sample_clip(rng, frames) if one else _rich(rng, seed, frames) for one in plain])
    return torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous() * 2 - 1, torch.from_numpy(plain)


def _rich(rng: np.random.Generator, seed: int, frames: int) -> np.ndarray:
    scene = rich_scene_of(int(rng.integers(INDICES)) * 4, seed + 1)
    start = int(rng.integers(0, 49 - frames + 1))
    return render(scene, start + frames)[start:]


def train_rich_vae(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the VAE from ``vae.safetensors`` in ``folder``, then write ``rich_vae.safetensors``."""
    from comfy.latent_formats import Wan21  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    before, network = load_vae(folder / "vae.safetensors"), load_vae(folder / "vae.safetensors")
    network.requires_grad_(True)
    scale = Wan21().latents_std.view(1, -1, 1, 1, 1)
    plan = Plan(seconds, rate=1e-3, other_rate=1e-3, constant=0.5, average=0.999)

    def loss_of(step: int, _: float) -> Tensor:
        clips, plain = draw(seed, step, *((6, 5) if step % 2 else (3, 13)))
        latents, _spread = encode_clip(network, clips)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed * 10**9 + step))
        loss = picture_error(decode_clip(network, latents + NOISE * scale * noise), clips)
        with torch.no_grad():
            old, _spread = encode_clip(before, clips[plain])
        return loss + KEPT * ((latents[plain] - old) / scale).square().mean()

    fit(network, loss_of, plan, folder / "rich_vae_state.safetensors")
    weights = {name: value.half() for name, value in network.state_dict().items()}
    write_weights(weights, folder / "rich_vae.safetensors", {"seed": str(seed)})
