"""Weights for the toy image model that nobody trained, so that tests of its form need no file of the pack."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pack.toy import weights
from pack.toy.pretrain import image_base, image_vae


def shaken(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Float16 weights of a fresh network in which nothing is zero any more."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (value + 0.05 * torch.randn(value.shape, generator=generator)).half()
        for name, value in network.state_dict().items()
    }


def write(folder: Path) -> tuple[Path, Path]:
    """Files of a UNet and of a VAE."""
    torch.manual_seed(0)
    unet, vae = folder / weights.IMAGE_BASE.name, folder / weights.IMAGE_VAE.name
    save_file(shaken(image_base.build_image_network()), unet)
    fresh = image_vae.build_image_vae()
    image_vae.fold_scale(fresh, torch.tensor([0.1, -0.1, 0.2, 0.0]), torch.tensor([0.7, 0.6, 0.7, 0.5]))
    save_file({name: value.half() for name, value in fresh.state_dict().items()}, vae)
    return unet, vae
