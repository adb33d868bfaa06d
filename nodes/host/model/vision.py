"""The host's CLIP vision model as a plain encoder, for networks whose cross-attention takes its features."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ....training.data.vision import VisionEncoder
from .encoders import plain
from .fingerprint import weights_digest

CLIP_VISION = "clip_vision_output"  # the host's name in a conditioning


def vision_encoder(clip_vision: Any) -> VisionEncoder:
    """Frames to the features of the last layer but one, as Wan takes them: squeezed into a square, not cropped.

    Source: ``clip.py`` of Wan-Video/Wan2.1, ``CLIPModel.visual``.
    """

    def encode(pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            found = clip_vision.encode_image(pixels, crop=False).penultimate_hidden_states
        return plain(found.flatten(0, 1))  # N L D -> (N L) D

    kind = type(clip_vision.model).__name__
    key = weights_digest(clip_vision.patcher, kind, clip_vision.image_size, clip_vision.image_mean)
    return VisionEncoder(encode, int(clip_vision.config["hidden_size"]), key, clip_vision.patcher)


def as_output(features: Tensor) -> Any:
    """Features ``[B, L, D]`` as the host's networks read them from a conditioning."""
    return SimpleNamespace(penultimate_hidden_states=features)
