"""Curves over frames: their means are the scores, and a change shows at its frame."""

from __future__ import annotations

import pytest
import torch

from pack.methods.score_curves import curves
from pack.methods.video_scores import score


def clip(frames: int = 7, seed: int = 0) -> torch.Tensor:
    small = torch.rand(frames, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (36, 48), mode="bilinear").movedim(1, -1)


def test_the_mean_of_each_curve_is_the_score_of_its_name():
    inputs = clip(), clip(seed=1), clip(2, seed=2)
    found, scores = curves(*inputs), score(*inputs)
    assert list(found) == ["frame_consistency", "flicker", "condition_fidelity", "ssim"]
    for name, values in found.items():
        assert float(values.mean()) == pytest.approx(scores[name], abs=1e-5)
        assert len(values) == 7 - (name in ("frame_consistency", "flicker"))


def test_what_is_not_connected_or_too_short_has_no_curve():
    assert list(curves(clip(1))) == []
    assert list(curves(clip(2))) == ["frame_consistency", "flicker"]
    assert len(curves(clip(5), clip(3))["ssim"]) == 3


def test_a_jump_shows_between_its_frames():
    video = clip(1).repeat(6, 1, 1, 1)
    video[4:] = 1 - video[4:]
    found = curves(video)
    assert int(found["flicker"].argmax()) == int(found["frame_consistency"].argmin()) == 3
