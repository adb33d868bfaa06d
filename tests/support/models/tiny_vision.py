"""A CLIP vision model of the host's own class with the width that Wan takes, and few tokens."""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import torch

CHANNELS = 1280  # the host's networks of Wan take no others
TOKENS = 5  # of a picture
CONFIG = {
    "hidden_size": CHANNELS, "intermediate_size": 64, "num_attention_heads": 20, "num_hidden_layers": 2,
    "image_size": 28, "patch_size": 14, "num_channels": 3, "projection_dim": 8, "hidden_act": "gelu",
    "layer_norm_eps": 1e-5, "model_type": "clip_vision_model",
}  # fmt: skip


@cache
def tiny_vision() -> Any:
    """Seeded random weights; all tests share it."""
    import comfy.clip_vision

    model = comfy.clip_vision.ClipVisionModel(dict(CONFIG))
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.02 + ("norm" in name and name.endswith("weight"))
        for name, value in model.get_sd().items()
        if value.is_floating_point()
    }
    model.load_sd(state)
    return model


atexit.register(tiny_vision.cache_clear)  # while the host can still unload it


def fake_vision(channels: int = CHANNELS) -> Any:
    """A VisionEncoder that costs nothing: features that depend on the pixels."""
    from pack.training.data.vision import VisionEncoder

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        rows = torch.nn.functional.adaptive_avg_pool1d(pixels.flatten(1)[:, None], TOKENS)[:, 0]  # N, tokens
        return (rows.flatten()[:, None] * torch.linspace(-3, 3, channels)).sin()

    return VisionEncoder(encode, channels, "fake")
