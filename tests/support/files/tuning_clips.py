"""A random clip with image encoders that cost nothing, and Tune-A-Video Train as the executor runs it on a tiny net."""

from __future__ import annotations

from typing import Any

import torch
from tiny_unet import CHANNELS, SIZE, TEXT_DIM, TOKENS
from torch import Tensor

PIXELS = 8 * SIZE
STEPS = 4
FRAMES = 3


def image_encoder(pixels: Tensor) -> Tensor:
    """Each frame alone: ``[T, H, W, 3]`` to 4 channels, 8 x 8 pixels a latent."""
    small = pixels.unfold(1, 8, 8).unfold(2, 8, 8).mean((-1, -2, -3)) - 0.5  # T h w
    return small[None] * torch.linspace(-9, 9, CHANNELS)[:, None, None, None]


def text_encoder(caption: str) -> dict[str, Tensor]:
    """Random tokens that depend on the caption's length."""
    generator = torch.Generator().manual_seed(len(caption))
    return {"cross_attn": torch.randn(TOKENS, TEXT_DIM, generator=generator)}


def encoded_clips(frames: int = 5, clips: int = 1, seed: int = 0, width: int = PIXELS, caption: str = "a ball") -> Any:
    """A FEWSHOT_ENCODED of clips of so many frames, for an image model."""
    from pack.training.data.clips import TensorClip
    from pack.training.data.dataset import Dataset, Sample
    from pack.training.data.encoding import EncodedDataset

    generator = torch.Generator().manual_seed(seed)
    samples = tuple(
        Sample(
            TensorClip(torch.rand(frames, PIXELS, width, 3, generator=generator)), caption + "!" * i, name=f"clip {i}"
        )
        for i in range(clips)
    )
    return EncodedDataset(
        Dataset(samples, width, PIXELS, 8.0, ""), image_encoder, text_encoder, "fake", None, lambda: None,
        frame_by_frame=True,
    )  # fmt: skip


def tune(model: Any, run_name: str, **values: Any) -> tuple:
    """The node as the executor runs it; returns its outputs."""
    from pack.nodes.tune_a_video_train import TuneAVideoTrain

    arguments = {
        "encoded": encoded_clips(), "learning_rate": 0.01, "steps": STEPS, "seed": 1, "frames": FRAMES,
        "run_name": run_name,
    }  # fmt: skip
    with torch.inference_mode():
        return TuneAVideoTrain.execute(model, **{**arguments, **values}).result
