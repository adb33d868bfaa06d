"""Random clip pairs with encoders that cost nothing, for tests of training in the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from tiny_vision import fake_vision
from torch import Tensor

TEXT_DIM = 32


def fake_vae(pixels: Tensor, channels: int = 16, compression: int = 4) -> Tensor:
    """Causal in time as a video VAE is: ``[T, H, W, 3]`` to 16 channels, 4 frames and 4x4 pixels a latent."""
    step = compression
    small = pixels[:, ::step, ::step].mean(-1)
    groups = [small[:1].mean(0), *(small[i : i + step].mean(0) for i in range(1, len(small), step))]
    return torch.stack(groups)[None] * torch.linspace(-1, 1, channels)[:, None, None, None]


def fake_text(
    caption: str, more: Mapping[str, Tensor] = MappingProxyType({}), width: int = TEXT_DIM
) -> dict[str, Tensor]:
    """Four random tokens that depend on the caption's length, and ``more`` of what an encoder gives."""
    generator = torch.Generator().manual_seed(len(caption))
    return {"cross_attn": torch.randn(4, width, generator=generator), **more}


def masked_text(caption: str) -> dict[str, Tensor]:
    """The same with the mask of an encoder that fills its captions up: its last token is none."""
    return {**fake_text(caption), "attention_mask": torch.tensor([1, 1, 1, 0])}


def encoded_pairs(
    clips: int = 3,
    frames: int = 8,
    conditions: int = 1,
    seed: int = 0,
    width: int = 16,
    channels: int = 16,
    height: int = 16,
    text: Callable[[str], dict[str, Tensor]] = fake_text,
    compression: int = 4,
) -> Any:
    """A FEWSHOT_ENCODED of clips, each with so many one-frame conditions; sizes are pixels."""
    from pack.training.data.clips import TensorClip
    from pack.training.data.dataset import Dataset, Sample
    from pack.training.data.encoding import EncodedDataset

    generator = torch.Generator().manual_seed(seed)

    def clip(count: int) -> TensorClip:
        return TensorClip(torch.rand(count, height, width, 3, generator=generator))

    samples = tuple(
        Sample(clip(frames), f"clip {'x' * i}", tuple(clip(1) for _ in range(conditions)), name=f"pair {i}")
        for i in range(clips)
    )
    dataset = Dataset(samples, width, height, 16.0, "")
    return EncodedDataset(
        dataset, lambda pixels: fake_vae(pixels, max(16, channels), compression)[:channels], text, "fake", None,
        lambda: None, vision=fake_vision(),
    )  # fmt: skip


def mixed_pairs(seed: int = 0, text: Callable[[str], dict[str, Tensor]] = fake_text) -> Any:
    """A FEWSHOT_ENCODED of pairs of two sizes and two lengths: three buckets."""
    whole = encoded_pairs(clips=3, seed=seed, text=text)
    wide, long = encoded_pairs(clips=1, width=32, seed=seed + 1), encoded_pairs(clips=1, frames=12, seed=seed + 2)
    others = [replace(wide.dataset[0], size=(32, 16), name="wide"), replace(long.dataset[0], name="long")]
    whole.dataset = replace(whole.dataset, samples=(*whole.dataset.samples, *others))
    return whole
