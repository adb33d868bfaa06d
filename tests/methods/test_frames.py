"""Fitting pictures into a size."""

from __future__ import annotations

import pytest
import torch

from pack.methods.frames import RESIZE_MODES, resize


def stripes(width: int, height: int) -> torch.Tensor:
    """Two frames, black left half and white right half."""
    frames = torch.zeros(2, height, width, 3)
    frames[:, :, width // 2 :] = 1.0
    return frames


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_a_clip_of_the_right_size_is_not_touched(mode):
    frames = torch.rand(2, 16, 24, 3, generator=torch.Generator().manual_seed(0))
    assert resize(frames, 24, 16, mode) is frames


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize(("width", "height"), [(16, 16), (48, 16), (7, 33), (64, 64), (1, 1)])
def test_the_result_has_the_wanted_size_and_stays_in_range(mode, width, height):
    out = resize(stripes(32, 20), width, height, mode)
    assert out.shape == (2, height, width, 3)
    assert 0 <= out.min() <= out.max() <= 1


def test_cropping_keeps_the_middle_at_its_aspect_ratio():
    frames = torch.zeros(1, 16, 64, 3)
    frames[:, :, 24:40] = 1.0  # a white square in the middle
    assert resize(frames, 16, 16, "crop").min() == 1.0


def test_padding_shows_everything_between_black_bars():
    out = resize(torch.ones(1, 16, 64, 3), 32, 32, "pad")
    assert out[:, 12:20].min() > 0.99
    assert out[:, :12].max() == 0
    assert out[:, 20:].max() == 0


def test_stretching_keeps_both_halves():
    out = resize(stripes(64, 16), 16, 64, "stretch")
    assert out[:, :, :7].max() < 0.05
    assert out[:, :, 9:].min() > 0.95


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"^resize mode 'zoom' is not known; use one of crop, pad, stretch$"):
        resize(stripes(32, 20), 16, 16, "zoom")
