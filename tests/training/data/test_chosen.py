"""Frames of a video file picked by their numbers: those of the whole clip, and no others held."""

from __future__ import annotations

import weakref
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from live_pictures import LivePictures
from odd_clips import write_clip

from pack.training.data import chosen, cut
from pack.training.data.chosen import read_chosen
from pack.training.data.footage import Window, read_footage

ENDS = Window(0.0, 0.84)  # nine frames of 0.1 s begin in it, and it lasts eight


def greys(number=24):
    return [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(number)]


def first_middle_last(there):
    return [0, there // 2, there - 1, there - 1]


@pytest.mark.parametrize("window", [None, ENDS, Window(-0.5)], ids=["whole", "other count", "end"])
@pytest.mark.parametrize("times", [(), [0, 40, 80, 500, 540, 1000]], ids=["even", "uneven"])
def test_the_frames_are_those_of_the_clip_read_whole(tmp_path, window, times):
    path = write_clip(tmp_path / "a.mp4", frames=greys(len(times) or 24), times=times, fps=25 if times else 10)
    whole = read_footage(path, None, window)
    found = read_chosen(path, first_middle_last, window)
    assert torch.equal(found.frames, whole.frames[first_middle_last(len(whole.frames))])
    assert found.whole == len(whole.frames)
    assert (found.fps, found.own_fps, found.notes) == (whole.fps, whole.own_fps, whole.notes)


def test_a_clip_that_has_another_number_of_frames_than_its_file_says_is_read_again(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=greys())
    asked = []
    read_chosen(path, lambda there: asked.append(there) or [there - 1], ENDS)
    assert asked == [8, 9]


def test_no_more_pictures_are_held_than_are_needed_to_decode(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4", frames=greys())
    pictures = LivePictures(monkeypatch)
    found = read_chosen(path, first_middle_last)
    assert pictures.decoded == 24
    assert pictures.most <= 3
    assert found.frames.untyped_storage().nbytes() == 4 * 48 * 64 * 3 * 4


def test_a_window_without_frames_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=greys())
    with pytest.raises(ValueError, match=r"a\.mp4 has no frame from 9 to 10 s"):
        read_chosen(path, first_middle_last, Window(9, 1))


def test_a_file_that_is_being_written_is_refused(tmp_path, monkeypatch):
    path, reading = write_clip(tmp_path / "a.mp4", frames=greys()), count(3)
    whole = chosen.open_reel

    def growing(*given):
        return replace(whole(*given), pictures=iter(greys(next(reading))))

    monkeypatch.setattr(chosen, "open_reel", growing)
    with pytest.raises(ValueError, match=r"a\.mp4 changes while it is read; wait until it is written"):
        read_chosen(path, first_middle_last)


def test_a_picture_that_is_among_the_frames_is_let_go(monkeypatch):
    alive, held = [], []
    fit = cut.fit

    def counting(*given):
        held.append(sum(one() is not None for one in alive))
        return fit(*given)

    def pictures():
        for number in range(6):
            picture = np.full((48, 64, 3), number, np.uint8)
            alive.append(weakref.ref(picture))
            yield picture

    monkeypatch.setattr(cut, "fit", counting)
    cut.stacked(pictures())
    assert held == [6, 5, 4, 3, 2, 1]
