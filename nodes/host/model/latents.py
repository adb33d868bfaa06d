"""The latents a host MODEL works on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def latent_channels(model: Any) -> int:
    """Channels of the latents a host MODEL works on."""
    return model.model.latent_format.latent_channels


def model_space(model: Any, latents: Tensor) -> Tensor:
    """VAE latents ``[C, T, h, w]`` as the network takes them."""
    with torch.inference_mode(False), torch.no_grad():
        return model.model.process_latent_in(latents[None])[0].contiguous()
