"""What LTX networks take besides text: frames a second, and timesteps token by token."""

from __future__ import annotations

from torch import Tensor

FRAME_RATE = "frame_rate"  # the host's name in a conditioning


def per_token(timesteps: Tensor, x: Tensor) -> Tensor:
    """Timesteps ``[B, T]`` of the frames of ``x [B, C, T, h, w]`` as ``[B, T h w]``, those of its latent pixels."""
    return timesteps.repeat_interleave(x.shape[3] * x.shape[4], dim=1)
