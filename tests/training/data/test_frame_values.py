"""Frames that no IMAGE holds are refused, with their range; text encoders of another width, too."""

from __future__ import annotations

import pytest
import torch

from pack.training.data.clips import TensorClip, check_frames
from pack.training.data.dataset import Footage, add_footage
from pack.training.data.encoding import EncodedDataset, TextWidth


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_frames_that_are_no_numbers_are_refused(value):
    frames = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    frames[1, 3, 2, 0] = value
    with pytest.raises(ValueError, match="values that are no numbers"):
        check_frames(frames)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 2)])
def test_frames_of_another_range_are_refused_with_their_range(low, high):
    frames = torch.linspace(low, high, 2 * 16 * 16 * 3).view(2, 16, 16, 3)
    with pytest.raises(ValueError, match=f"from {low} to {high}, an IMAGE holds 0 to 1; .*dividing by 255"):
        add_footage(None, Footage(frames), "a ball")


def test_a_little_overshoot_and_bytes_are_taken():
    check_frames(torch.linspace(-0.2, 1.2, 2 * 16 * 16 * 3).view(2, 16, 16, 3))
    assert TensorClip(torch.full((1, 16, 16, 3), 200, dtype=torch.uint8)).frames().max() < 1


def test_a_text_encoder_of_another_width_is_named_before_a_clip_is_encoded():
    encoded = []

    class Recipe:
        key = "whole"

        def clips(self, sample):
            encoded.append(sample)
            return {"x0": sample.target.frames()}

        def assemble(self, latents):
            return latents

        def captions(self, sample):
            return {"caption": sample.caption}

    frames = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    data = EncodedDataset(
        add_footage(None, Footage(frames), "a ball"), lambda pixels: pixels.permute(3, 0, 1, 2),
        lambda _text: {"cross_attn": torch.zeros(4, 64)}, "key", None, lambda: None,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"gives 64 channels a token, Wan 2\.1 takes 32; load the CLIP that belongs"):
        data.encode(Recipe(), text=TextWidth(32, "Wan 2.1"))
    assert not encoded
    assert data.encode(Recipe(), text=TextWidth(64, "Wan 2.1")).samples
