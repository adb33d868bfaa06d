"""Pre-training of the toy image model on latents of single pictures of the toy world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..image_model import SCALE
from ..pictures import draw_picture
from ..world import Scene, render
from .captions import Captions
from .image_base import build_image_network, noise_loss, sampling_of_host
from .image_vae import load_image_vae
from .kernels import flatten_kernels, plain_weights
from .loop import Plan, Stage, write_weights

PICTURES = 8192
BATCH = 32
EMPTY = 0.1  # share of the captions that are taken away, for guidance
HIGH = 0.7  # exponent on a uniform number: below 1 draws high levels, where places are decided, more often


def picture_of(index: int, seed: int) -> tuple[Scene, str]:
    """Picture number ``index`` of a seed and its caption."""
    return draw_picture(np.random.default_rng((seed, 12, index)))


def encode_pictures(network: nn.Module, indices: range, seed: int) -> Tensor:
    """Latents ``[N, 4, 16, 16]`` of pictures, in the model's space, into which the host brings what a VAE gives."""
    parts = []
    for start in range(indices.start, indices.stop, 32):
        scenes = [picture_of(i, seed)[0] for i in range(start, min(start + 32, indices.stop))]
        frames = torch.from_numpy(np.concatenate([render(scene, 1) for scene in scenes]))
        with torch.no_grad():
            parts.append(SCALE * network.encode(frames.permute(0, 3, 1, 2) * 2 - 1))
    return torch.cat(parts)


def read_pictures(folder: Path, seed: int) -> Tensor:
    """Latents of the whole set, float16, encoded by the VAE in ``folder`` unless that was done before."""
    path = folder / "pictures.safetensors"
    if not path.exists():
        latents = encode_pictures(load_image_vae(folder / "image_vae.safetensors"), range(PICTURES), seed)
        temporary = path.with_suffix(".tmp")
        save_file({"latents": latents.half().contiguous()}, temporary)
        temporary.replace(path)
    return load_file(path)["latents"]


class Batches:
    """Batches by step number."""

    def __init__(self, latents: Tensor, seed: int) -> None:
        self.latents, self.seed = latents, seed
        self.texts = [picture_of(i, seed)[1] for i in range(len(latents))]
        self.captions = Captions()

    def draw(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents ``[B, 4, 16, 16]``, context ``[B, 77, 64]``, timesteps ``[B]`` and noise of a step."""
        rng = np.random.default_rng((self.seed, 13, step))
        picks = rng.integers(len(self.latents), size=BATCH)
        texts = ["" if rng.random() < EMPTY else self.texts[i] for i in picks]
        uniform = (rng.permutation(BATCH) + rng.random(BATCH)) / BATCH
        timestep = torch.from_numpy((1000 * uniform**HIGH).astype(np.int64)).clamp(max=999)
        x0 = self.latents[picks].float()
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(self.seed * 10**9 + step))
        return x0, self.captions(texts), timestep, noise


def train_image_base(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the image model; ``folder`` holds the VAE and gets the weights."""
    import comfy.model_management  # pyright: ignore[reportMissingImports]

    comfy.model_management.in_training = True
    batches = Batches(read_pictures(folder, seed), seed)
    torch.manual_seed(seed)
    network = build_image_network()
    sampling = sampling_of_host()
    plan = Plan(seconds, rate=3e-3, other_rate=1.5e-3, constant=0.4, average=0.997)
    stage = Stage(network, flatten_kernels(network), plan, folder / "image_base_state.safetensors")

    def loss_of(step: int, _done: float) -> Tensor:
        drawn = batches.draw(step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return noise_loss(network, sampling, *drawn).mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}", flush=True)
        facts = {"step": str(stage.step), "seconds": f"{stage.spent:.0f}", "seed": str(seed)}
        weights = plain_weights(network, stage.averaged())
        half = {name: value.half() for name, value in weights.items()}
        write_weights(half, folder / "image_base.safetensors", facts)

    stage.run(loss_of, report)
