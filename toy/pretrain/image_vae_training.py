"""Training of the VAE of the toy image model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..image_model import NOISE
from ..pictures import draw_picture
from ..world import render
from .image_vae import build_image_vae, fold_scale
from .kernels import flatten_kernels, plain_weights
from .loop import Plan, Stage, write_weights
from .vae import sample_clip

BATCH = 8
LATENT_WEIGHT = 1e-3  # on the mean square of the latents


def draw_pictures(seed: int, step: int, count: int) -> Tensor:
    """Pictures ``[B, 3, 64, 64]`` in [-1, 1] of a step; every second one is of a wider world than the model's."""
    rng = np.random.default_rng((seed, 11, step))
    frames = [
        sample_clip(rng, 1)[0] if i % 2 else render(draw_picture(rng)[0], 1)[0]  # odd ones: any colour, two objects
        for i in range(count)
    ]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous() * 2 - 1


def train_image_vae(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the VAE, then write ``image_vae.safetensors`` into ``folder``."""
    torch.manual_seed(seed)
    network = build_image_vae()
    for layer in (network.quant_conv, network.post_quant_conv):
        layer.requires_grad_(False)  # the statistics go there in the end
    matrices = [p for p in flatten_kernels(network) if p.requires_grad]
    plan = Plan(seconds, rate=8e-4, other_rate=8e-4, constant=0.3, average=0.995, warmup=60)
    stage = Stage(network, matrices, plan, folder / "image_vae_state.safetensors")

    def loss_of(step: int, _done: float) -> Tensor:
        pictures = draw_pictures(seed, step, BATCH)
        generator = torch.Generator().manual_seed(seed * 10**9 + step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents = network.encode(pictures).float()
            spread = latents.detach().std((0, 2, 3), keepdim=True)
            noise = NOISE * spread * torch.randn(latents.shape, generator=generator)
            error = network.decode(latents + noise).float() - pictures
        return 4 * error.square().mean() + 0.5 * error.abs().mean() + LATENT_WEIGHT * latents.square().mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}", flush=True)
        finish(plain_weights(network, stage.averaged()), folder / "image_vae.safetensors", seed)

    stage.run(loss_of, report)


def finish(weights: dict[str, Tensor], path: Path, seed: int) -> None:
    """Fold the world's latent statistics in and write the weights in float16."""
    network = build_image_vae()
    network.load_state_dict(weights)
    mean, std = statistics(network, seed)
    fold_scale(network, mean, std)
    write_weights({name: value.half() for name, value in network.state_dict().items()}, path, {"seed": str(seed)})


def statistics(network: nn.Module, seed: int, count: int = 256) -> tuple[Tensor, Tensor]:
    """Mean and std of every latent channel over pictures of the pre-training, ``[4]`` each."""
    rng = np.random.default_rng((seed, 78))
    frames = np.stack([render(draw_picture(rng)[0], 1)[0] for _ in range(count)])
    with torch.no_grad():
        parts = [network.encode(part.permute(0, 3, 1, 2) * 2 - 1) for part in torch.from_numpy(frames).split(32)]
    values = torch.cat(parts).transpose(0, 1).flatten(1)
    return values.mean(1), values.std(1)
