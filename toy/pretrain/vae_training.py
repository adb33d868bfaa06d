"""Training of the toy VAE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .loop import Plan, Stage, write_weights
from .vae import build_vae, decode_clip, encode_clip, fold_statistics, sample_clip, sample_world

STILLS = 0.1  # share of the time on single frames, which are cheap
LATENT_NOISE = 0.2  # added before decoding; raw latents have a std of about 2
LATENT_WEIGHT = 5e-4  # on the mean square of the latents


class Unflatten(nn.Module):
    """Keeps a convolution kernel as a matrix, the form Muon works on."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, matrix: Tensor) -> Tensor:
        return matrix.view(self.shape)

    def right_inverse(self, kernel: Tensor) -> Tensor:
        return kernel.flatten(1)


def draw_clips(seed: int, step: int, count: int, frames: int) -> Tensor:
    """Clips ``[B, 3, T, 64, 64]`` in [-1, 1] of a step."""
    rng = np.random.default_rng((seed, step))
    clips = np.stack([sample_clip(rng, frames) for _ in range(count)])
    return torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous() * 2 - 1


def train_vae(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the VAE, then write ``vae.safetensors`` into ``folder``."""
    torch.manual_seed(seed)
    network = build_vae()
    plan = Plan(seconds, rate=3e-3, other_rate=3e-3, constant=0.4, average=0.999)

    def loss_of(step: int, done: float) -> Tensor:
        clips = draw_clips(seed, step, *((16, 1) if done < STILLS else (6, 5) if step % 2 else (3, 13)))
        latents, _ = encode_clip(network, clips)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed * 10**9 + step))
        return picture_error(decode_clip(network, latents + LATENT_NOISE * noise), clips) + LATENT_WEIGHT * (
            latents.square().mean()
        )

    fit(network, loss_of, plan, folder / "vae_state.safetensors")
    finish(network, folder / "vae.safetensors", seed)


def picture_error(given: Tensor, clips: Tensor) -> Tensor:
    """How far decoded clips are from the true ones."""
    error = given - clips
    return 4 * error.square().mean() + 0.5 * error.abs().mean()


def fit(network: nn.Module, loss_of: Callable[[int, float], Tensor], plan: Plan, state: Path) -> None:
    """Train a VAE until its time is over; it ends with the averaged weights."""
    convolutions = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d))]
    for layer in convolutions:
        parametrize.register_parametrization(layer, "weight", Unflatten(layer.weight.shape))
    matrices = [p for p in network.parameters() if p.ndim == 2 and min(p.shape) > 4]
    stage = Stage(network, matrices, plan, state)
    stage.run(loss_of, lambda s, loss: print(f"{s.spent:6.0f} s  step {s.step}  loss {loss:.4f}", flush=True))
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), stage.average, strict=True):
            parameter.copy_(value)
    for layer in convolutions:
        parametrize.remove_parametrizations(layer, "weight")


def finish(network: nn.Module, path: Path, seed: int) -> None:
    """Fold the world's latent statistics in and write the weights in float16."""
    rng = np.random.default_rng((seed, 77))
    clips = torch.from_numpy(np.stack([sample_world(rng, 49, shown=True) for _ in range(40)]))
    with torch.no_grad():
        parts = [encode_clip(network, part.permute(0, 4, 1, 2, 3) * 2 - 1)[0] for part in clips.split(4)]
    values = torch.cat(parts).transpose(0, 1).flatten(1)
    fold_statistics(network, values.mean(1), values.std(1))
    write_weights({name: value.half() for name, value in network.state_dict().items()}, path, {"seed": str(seed)})
