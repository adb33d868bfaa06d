"""Seeded random weights for networks of the host's classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def random_weights(net: nn.Module, seed: int, spread: float = 0.1) -> dict[str, Tensor]:
    """Small numbers by name, of the standard deviation ``spread``; what scales a channel is 1."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, parameter in net.named_parameters():
        flat = parameter.ndim < 2 and "bias" not in name
        state[name] = (
            torch.ones(parameter.shape) if flat else torch.randn(parameter.shape, generator=generator) * spread
        )
    return state
