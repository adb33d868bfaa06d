"""Windows between key frames: every key is shown where training has shown one, and the video ends with the last."""

from __future__ import annotations

import itertools

import pytest

from pack.methods.tic_ft import Layout
from pack.training.tic_ft.key_windows import KeyedVideo, possible_lengths
from pack.training.tic_ft.windows import LongVideo

HALF = 2.0  # frames, half a latent


def offsets(video: KeyedVideo, number: int) -> list[float]:
    """How far each key of a window is from where a layout with so many shows it, in frames."""
    window, step = video.window(number), (video.frames - 1) / (video.keys - 1)
    shown = video.shown_at(window.start)
    spread = (video.window_frames - 1) / (len(shown) - 1)
    return [abs(key * step - window.start - i * spread) for i, key in enumerate(shown)]


@pytest.mark.parametrize(("keys", "starts", "shown"), [
    (2, [0], [[0, 1]]), (4, [0], [[0, 1, 2, 3]]),
    (5, [0, 8], [[0, 1, 2, 3], [1, 2, 3, 4]]),
    (6, [0, 16], [[0, 1, 2, 3], [2, 3, 4, 5]]),
    (7, [0, 16, 24], [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]),
])  # fmt: skip
def test_windows_of_24_frames_with_four_keys(keys, starts, shown):
    plan = LongVideo(1, Layout.linear(4, 3, 6), 2)
    frames = possible_lengths(plan, keys)[0]
    assert frames == max(24, 8 * (keys - 1))
    video = KeyedVideo(frames, plan.layout, plan.overlap, keys=keys)
    assert list(video.starts) == starts
    assert [list(video.shown_at(start)) for start in video.starts] == shown


@pytest.mark.parametrize(("target", "condition", "overlap", "patch", "least"), [
    (6, 4, 2, 1, 12), (6, 4, 0, 1, 12), (6, 3, 1, 1, 12), (9, 4, 2, 1, 12), (5, 3, 0, 1, 12), (5, 3, 1, 1, 2),
    (6, 4, 2, 2, 6), (12, 6, 4, 1, 12),
])  # fmt: skip
def test_every_key_is_shown_at_its_time_at_every_length_that_is_offered(target, condition, overlap, patch, least):
    asked, laid = LongVideo(1, Layout.linear(condition, 3, target), overlap), 0
    for keys in range(2, 14):
        for frames in possible_lengths(asked, keys, patch):
            video, laid = KeyedVideo(frames, asked.layout, overlap, keys=keys, patch=patch), laid + 1
            windows = [video.window(number) for number in range(video.count)]
            assert list(itertools.chain(*(window.new for window in windows))) == list(range(frames))
            assert {key for window in windows for key in video.shown_at(window.start)} == set(range(keys))
            assert all(max(offsets(video, number)) <= HALF for number in range(video.count))
            assert all(overlap <= window.overlap < target for window in windows[1:])
            assert all(window.overlap % patch == 0 for window in windows)
            assert [video.number_at(window.new.stop) for window in windows] == list(range(1, len(windows) + 1))
    assert laid >= least


def test_each_window_begins_where_the_overlap_of_the_one_before_does():
    video = KeyedVideo(48, Layout.linear(4, 3, 6), 2, keys=7)
    assert [(window.start, window.overlap, window.new) for window in map(video.window, range(3))] == [
        (0, 0, range(24)), (16, 2, range(24, 40)), (24, 4, range(40, 48)),
    ]  # fmt: skip


@pytest.mark.parametrize(("keys", "frames"), [(5, 49), (6, 90), (3, 12), (5, 100), (7, 60)])
def test_a_length_at_which_keys_would_be_shown_at_other_times_is_refused_and_others_are_named(keys, frames):
    with pytest.raises(ValueError, match=f"{keys} key frames over {frames} frames do not lie .* set frames to") as told:
        KeyedVideo(frames, Layout.linear(4, 3, 6), 2, keys=keys)
    advice = str(told.value).partition("set frames to ")[2].partition(",")[0]
    for length in map(int, advice.split(" or ")):
        KeyedVideo(length, Layout.linear(4, 3, 6), 2, keys=keys)


def test_another_end_than_a_window_s_is_refused_and_the_nearest_are_named():
    with pytest.raises(ValueError, match="ends at frame 30; go on from 24 or 40"):
        KeyedVideo(48, Layout.linear(4, 3, 6), 2, keys=7).number_at(30)


def test_only_the_end_of_a_whole_window_is_gone_on_from_where_nothing_says_where_a_cut_one_ended():
    video = KeyedVideo(48, Layout.linear(4, 3, 6), 2, keys=7)
    assert video.number_at(video.reach(24)) == 1
    with pytest.raises(ValueError, match="ends at frame 39; go on from 40 or 48"):
        video.number_at(video.reach(39))
