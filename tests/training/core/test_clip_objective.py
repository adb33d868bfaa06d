"""What the objectives of all methods know of their clips."""

from __future__ import annotations

import pytest
import torch

from pack.training.core.clip_objective import ClipObjective
from pack.training.core.config import TrainConfig


@pytest.mark.parametrize(
    ("frames", "tokens", "empty", "dropout", "vary"),
    [
        ((3, 3), (5, 5), 5, 0.5, False),
        ((3, 4), (5, 5), 5, 0.5, True),
        ((3, 3), (5, 6), 5, 0.5, True),
        ((3, 3), (5, 5), 2, 0.5, True),
        ((3, 3), (5, 5), 2, 0.0, False),
    ],
    ids=["all alike", "clips differ", "captions differ", "the empty caption differs", "no caption is dropped"],
)
def test_shapes_vary_where_clips_or_captions_of_a_step_differ(frames, tokens, empty, dropout, vary):
    clips = [torch.zeros(16, count, 4, 4) for count in frames]
    captions = [{"cross_attn": torch.zeros(count, 8), "mark": torch.zeros(1)} for count in tokens]
    config = TrainConfig(caption_dropout=dropout)
    assert ClipObjective(clips, captions, {"cross_attn": torch.zeros(empty, 8)}, config).shapes_vary() is vary
