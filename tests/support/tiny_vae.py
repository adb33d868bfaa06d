"""A Wan 2.1 VAE of the host's own class, small enough for tests."""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import torch

PIXELS = 32  # width and height of a clip; 4 x 4 latents


@cache
def tiny_vae() -> Any:
    """A host VAE of width 4 with seeded random weights."""
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE

    generator = torch.Generator().manual_seed(0)
    state = {}
    network = WanVAE(dim=4, z_dim=16, temperal_downsample=[False, True, True])  # as the host builds it
    for name, value in network.state_dict().items():
        if name.endswith("gamma"):
            state[name] = torch.ones(value.shape)
        else:
            scale = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
            state[name] = torch.randn(value.shape, generator=generator) * scale
    vae = comfy.sd.VAE(sd=state)
    vae.throw_exception_if_invalid()
    return vae


atexit.register(tiny_vae.cache_clear)  # while the host can still unload it


def clip(frames: int, seed: int = 0, width: int = PIXELS, height: int = PIXELS) -> torch.Tensor:
    """Random frames ``[T, H, W, 3]``."""
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))
