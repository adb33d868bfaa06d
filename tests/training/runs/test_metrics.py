"""Smoothed losses, losses by noise level, the pace and short curves."""

from __future__ import annotations

import json
import math

import pytest

from pack.training.runs.metrics import (
    Curve,
    Pace,
    SigmaBuckets,
    Smoothed,
    bucket_labels,
    bucket_of,
    finite,
    rounded,
    share_means,
)


def test_the_smoothed_loss_is_the_corrected_exponential_mean():
    smoothed = Smoothed(beta=0.5)
    assert smoothed.value is None
    assert smoothed.add(4.0) == pytest.approx(4.0)  # without the correction 2
    assert smoothed.add(1.0) == pytest.approx((0.25 * 4 + 0.5 * 1) / 0.75)


@pytest.mark.parametrize("lost", [math.nan, math.inf, None, "0.5", True])
def test_a_loss_that_is_no_number_leaves_the_smoothed_one_as_it_is(lost):
    smoothed = Smoothed()
    smoothed.add(2.0)
    assert smoothed.add(lost) == pytest.approx(2.0)


def test_every_noise_level_lies_in_its_share():
    assert [bucket_of(sigma) for sigma in (-0.1, 0.0, 0.249, 0.25, 0.5, 0.999, 1.0, 1.5)] == [0, 0, 0, 1, 2, 3, 3, 3]
    assert bucket_labels() == ["0.00-0.25", "0.25-0.50", "0.50-0.75", "0.75-1.00"]


def test_each_clip_counts_for_the_share_of_its_own_level_and_frames_for_their_highest():
    buckets = SigmaBuckets()
    buckets.add([1.0, 3.0], [0.1, 0.9])
    found = buckets.add([5.0, 7.0], [[0.0, 0.3, 0.6], math.nan])
    assert found == [pytest.approx(1.0), None, pytest.approx(5.0), pytest.approx(3.0)]


def test_the_means_of_the_shares_leave_out_what_is_no_number():
    losses, sigmas = [1.0, 3.0, math.nan, 5.0, 7.0], [0.1, 0.2, 0.2, [0.3, 0.9], None]
    assert share_means(losses, sigmas) == [(2.0, pytest.approx(0.15), 2), (5.0, 0.9, 1)]
    assert share_means([], []) == []


def test_the_pace_is_the_median_and_what_is_left_counts_the_time_between_steps():
    pace = Pace()
    assert pace.seconds_per_step is None
    assert pace.left(10) is None
    for seconds, wall in [(2.0, 2.0), (2.0, 2.0), (50.0, 50.0), (2.0, 14.0)]:
        pace.add(seconds, wall)
    assert pace.seconds_per_step == 2.0
    assert pace.left(10) == pytest.approx(10 * (2.0 + 12.0 / 4))
    assert pace.left(-1) == 0.0


def test_only_the_last_steps_make_the_pace():
    pace = Pace(window=3)
    for seconds in (9.0, 9.0, 9.0, 1.0, 1.0, 1.0):
        pace.add(seconds, seconds)
    assert pace.seconds_per_step == 1.0


def test_a_short_curve_is_kept_as_it_is():
    curve = Curve(limit=4)
    curve.add(1, {"loss": 1.0})
    curve.add(2, {"loss": math.nan, "smoothed": 3.0})
    assert curve.table() == {"steps": [1, 2], "loss": [1.0, None], "smoothed": [None, 3.0]}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 1000, 4097])
def test_a_long_curve_has_few_points_whose_mean_is_that_of_all_values(count):
    curve = Curve(limit=8)
    for step in range(1, count + 1):
        curve.add(step, {"loss": float(step)})
    table = curve.table()
    assert len(table["steps"]) <= 8
    assert table["steps"] == sorted(set(table["steps"]))
    assert table["steps"][-1] == count
    starts = [0, *table["steps"][:-1]]
    widths = [last - first for first, last in zip(starts, table["steps"], strict=True)]
    assert len(set(widths[:-1])) <= 1  # all of one width, but the last that is not full yet
    means = [(first + 1 + last) / 2 for first, last in zip(starts, table["steps"], strict=True)]
    assert table["loss"] == [rounded(mean) for mean in means]


def test_a_curve_that_goes_back_forgets_later_points():
    curve = Curve()
    for step in range(1, 6):
        curve.add(step, {"loss": float(step)})
    curve.go_back(3)
    curve.add(4, {"loss": 9.0})
    assert curve.table() == {"steps": [1, 2, 3, 4], "loss": [1.0, 2.0, 3.0, 9.0]}


def test_a_curve_takes_so_many_columns_and_no_second_column_of_steps():
    curve = Curve(columns=2)
    curve.add(1, {"steps": 5.0, "a": 1.0, "b": 2.0, "c": 3.0})
    assert curve.table() == {"steps": [1], "a": [1.0], "b": [2.0]}


def test_what_json_cannot_hold_becomes_nothing():
    assert [finite(value) for value in (1, 1.5, math.inf, -math.inf, math.nan, True, "1", None, 10**400)] == [
        1.0,
        1.5,
        *[None] * 7,
    ]
    assert json.dumps(rounded(0.12345678)) == "0.123457"
