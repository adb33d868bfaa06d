"""What LTX networks take besides text: frames a second, and timesteps token by token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

FRAME_RATE = "frame_rate"  # the host's name in a conditioning


def per_token(timesteps: Tensor, x: Tensor) -> Tensor:
    """Timesteps ``[B, T]`` of the frames of ``x [B, C, T, h, w]`` as ``[B, T h w]``, those of its latent pixels."""
    return timesteps.repeat_interleave(x.shape[3] * x.shape[4], dim=1)


def connected_width(network: Any) -> int:
    """Channels of a token that LTX-2's connectors take: of one text, or of one for each stream side by side."""
    video, sound = network.video_embeddings_connector, network.audio_embeddings_connector
    return video.inner_dim + (sound.inner_dim if network.caption_proj_before_connector else 0)


def without_sound(x: Tensor, timestep: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """Input and timesteps of a network of two streams that is given no sound, as the host gives them without any.

    Attention between the streams is then left out by the host. What is computed from the sound's timestep is not used;
    one a clip is the least of it.
    """
    return [x], (timestep, timestep if timestep.ndim == 1 else timestep.amax(1))
