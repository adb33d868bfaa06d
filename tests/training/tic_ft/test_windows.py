"""How a long video is cut into windows."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pack.methods.tic_ft import Layout
from pack.training.tic_ft.windows import LongVideo

LAYOUT = Layout.linear(4, 3, 6)


@pytest.mark.parametrize("overlap", [0, 1, 2, 5])
@pytest.mark.parametrize("frames", [1, 23, 24, 25, 40, 41, 2880])
def test_windows_add_every_frame_once_and_in_order(frames, overlap):
    plan = LongVideo(frames, LAYOUT, overlap)
    windows = [plan.window(number) for number in range(plan.count)]
    assert [frame for window in windows for frame in window.new] == list(range(frames))
    for before, window in pairwise(windows):
        assert window.start == before.start + plan.stride
        assert window.new.start - window.start == 4 * overlap
        assert window.overlap == overlap
    assert windows[0].overlap == 0


def test_a_run_goes_on_with_the_window_behind_what_is_there():
    plan = LongVideo(100, LAYOUT, 2)
    ends = [plan.window(number).new.stop for number in range(plan.count)]
    assert ends == [24, 40, 56, 72, 88, 100]
    assert [plan.number_at(end) for end in (0, *ends[:-1])] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("end", "near"), [(3, "24 and 40"), (30, "24 and 40"), (41, "40 and 56")])
def test_another_frame_is_refused_and_the_nearest_ends_are_named(end, near):
    with pytest.raises(ValueError, match=f"ends at frame {end}, those of this layout end at {near}; set overlap"):
        LongVideo(100, LAYOUT, 2).number_at(end)


def test_the_last_window_of_every_length_ends_where_one_of_a_longer_video_does():
    plan = LongVideo(1000, LAYOUT, 2)
    assert [plan.reach(done) for done in (0, 1, 23, 24, 25, 40, 41)] == [0, 24, 24, 24, 40, 40, 56]
    for frames in range(1, 100):
        shorter = LongVideo(frames, LAYOUT, 2)
        assert plan.number_at(plan.reach(frames)) == shorter.count


def test_an_overlap_that_leaves_nothing_to_make_is_refused():
    with pytest.raises(ValueError, match="set overlap_latents from 0 to 5"):
        LongVideo(100, LAYOUT, 6)
    with pytest.raises(ValueError, match="overlap of 6 latents and 6 target latents; give a smaller one"):
        Layout(0, 0, 6, overlap=6)
