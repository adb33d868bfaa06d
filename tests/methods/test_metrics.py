"""Which metric needs what, and how one that lacks it is refused."""

from __future__ import annotations

import re

import pytest
import torch

from pack.methods.metrics import METRICS, check_metric

CLIP = torch.zeros(5, 16, 16, 3)
STILL = CLIP[:1]

REFUSED = [
    (("fvd", CLIP, CLIP, CLIP), "metric 'fvd' is not known; use one of frame_consistency, "),
    (
        ("ssim", CLIP, None, CLIP),
        "metric 'ssim' compares with a reference and none is connected; connect one to `reference` or choose "
        "another metric",
    ),
    (
        ("condition_fidelity", CLIP, CLIP, None),
        "metric 'condition_fidelity' compares with a condition and none is connected; connect one to `condition` "
        "or choose another metric",
    ),
    (
        ("frame_consistency", STILL, CLIP, CLIP),
        "metric 'frame_consistency' needs 2 frames and got 1; give a longer clip or choose another metric",
    ),
    (
        ("jerk", CLIP[:2], CLIP, CLIP),
        "metric 'jerk' needs 3 frames and got 2; give a longer clip or choose another metric",
    ),
    (
        ("flow_agreement", CLIP, STILL, None),
        "metric 'flow_agreement' needs 2 frames and got 1; give a longer clip or choose another metric",
    ),
]


@pytest.mark.parametrize(("inputs", "sentence"), REFUSED)
def test_a_metric_that_the_inputs_do_not_allow_is_refused_in_one_sentence(inputs, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        check_metric(*inputs)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_allowed_with_everything_connected(name):
    check_metric(name, CLIP, CLIP, STILL)


def test_a_metric_of_the_video_alone_asks_for_nothing_else():
    check_metric("jerk", CLIP)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_its_direction_range_and_need(name):
    metric = METRICS[name]
    assert metric.better in ("higher", "lower", "beside")
    assert metric.low < metric.high
    assert metric.needs in ("", "reference", "condition")
