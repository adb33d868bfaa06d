"""Targets that begin with their condition, as TIC-FT's authors keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_clips import write_clip

from pack.training.data.folder import read_folder

HELD, MOVING, RATE = 13, 36, 10  # of the authors' example: 49 frames at 10 fps
STEP = 5  # grey levels between two frames that move


def levels(clip) -> list[int]:
    """The grey of each frame."""
    return [round(float(frame.mean()) * 255) for frame in clip.frames()]


def write_held(path: Path, held: int = HELD, moving: int = MOVING) -> Path:
    """A still of level 200, then frames of level 0, ``STEP``, 2 ``STEP`` …"""
    path.parent.mkdir(exist_ok=True)
    steps = [200] * held + [STEP * i for i in range(moving)]
    return write_clip(path, frames=[np.full((32, 48, 3), level, np.uint8) for level in steps], fps=RATE)


def write_lists(folder: Path, held: int = HELD, moving: int = MOVING) -> Path:
    write_held(folder / "videos" / "1.mp4", held, moving)
    (folder / "prompt.txt").write_text("[CONDITION] a still [VIDEO] it moves\n")
    (folder / "videos.txt").write_text("videos/1.mp4\n")
    return folder


def test_a_list_of_the_authors_is_split_where_the_still_ends(tmp_path):
    dataset = read_folder(write_lists(tmp_path), 48, 32, MOVING, 16)
    (sample,) = dataset.samples
    assert np.abs(np.subtract(levels(sample.target), [STEP * i for i in range(MOVING)])).max() <= 1
    assert [levels(condition) for condition in sample.conditions] == [[200]]
    assert "its first 13 frames are its condition, held still, so one picture" in dataset.report
    assert "target: frames from 14 on, one for one" in dataset.report
    assert "stand still" not in dataset.report
    assert dataset.checks[0].conditions == 1


def test_without_the_split_most_of_what_is_learned_is_the_still(tmp_path):
    dataset = read_folder(write_lists(tmp_path), 48, 32, MOVING, 16, leading=0)
    assert levels(dataset[0].target).count(200) == 21
    assert "its first 13 frames stand still and 10 move; if the still is its condition, set leading_condition" in (
        dataset.report
    )


@pytest.mark.parametrize("leading", [-1, 0])
def test_a_clip_of_a_plain_folder_is_left_whole_and_named(tmp_path, leading):
    write_held(tmp_path / "cat.mp4")
    (tmp_path / "cat.txt").write_text("a cat")
    dataset = read_folder(tmp_path, 48, 32, 40, RATE, leading=leading)
    assert not dataset[0].conditions
    assert "cat: cat.mp4: its first 13 frames stand still and 27 move" in dataset.report


def test_a_clip_of_a_plain_folder_is_split_on_request_and_keeps_its_rate(tmp_path):
    write_held(tmp_path / "cat.mp4")
    (tmp_path / "cat.txt").write_text("a cat")
    (sample,) = read_folder(tmp_path, 48, 32, 18, RATE / 2, leading=HELD).samples
    assert np.abs(np.subtract(levels(sample.target), [2 * STEP * i for i in range(18)])).max() <= 1
    assert [levels(condition) for condition in sample.conditions] == [[200]]


def test_a_condition_that_moves_stays_a_clip(tmp_path):
    (sample,) = read_folder(write_lists(tmp_path, held=1, moving=48), 48, 32, 24, 16, leading=25).samples
    assert len(sample.conditions[0].frames()) == 25
    assert abs(levels(sample.target)[0] - 24 * STEP) <= 1


def test_pictures_are_split_by_their_number(tmp_path, write_picture):
    for i in range(8):
        write_picture(tmp_path / "walk" / f"{i}.png", np.full((16, 16, 3), 10 * max(0, i - 2), np.uint8))
    (tmp_path / "walk.txt").write_text("a walk")
    (sample,) = read_folder(tmp_path, 16, 16, 5, 8, leading=3).samples
    assert levels(sample.target) == [10, 20, 30, 40, 50]
    assert [levels(condition) for condition in sample.conditions] == [[0]]


def test_a_folder_for_inference_says_that_it_has_no_target(tmp_path):
    dataset = read_folder(write_lists(tmp_path, 49, 0), 48, 32, MOVING, 16)
    assert [levels(condition) for condition in dataset[0].conditions] == [[200]]
    assert "1.mp4 holds its condition still to the end, as TIC-FT's folders for inference do" in dataset.report


def test_a_longer_still_than_what_is_split_off_is_said(tmp_path):
    report = read_folder(write_lists(tmp_path, 25, 24), 48, 32, 24, 16).report
    assert "1.mp4 stands still for 25 frames and 13 are taken as its condition; set leading_condition to 25" in report


def test_a_condition_beside_the_clip_is_the_only_one(tmp_path, write_picture):
    write_held(tmp_path / "cat.mp4")
    write_picture(tmp_path / "cat.condition.png", np.full((16, 16, 3), 90, np.uint8))
    (tmp_path / "cat.txt").write_text("a cat")
    (sample,) = read_folder(tmp_path, 48, 32, 40, RATE, leading=HELD).samples
    assert [levels(condition) for condition in sample.conditions] == [[90]]


def test_what_cannot_be_split_is_left_out_with_its_reason(tmp_path):
    with pytest.raises(ValueError, match=r"1\.mp4 has 49 frames, 49 at its start are to be its condition and nothing"):
        read_folder(write_lists(tmp_path), 48, 32, MOVING, 16, leading=49)
    with pytest.raises(ValueError, match="leading_condition is -2; use -1 to find out"):
        read_folder(tmp_path, 48, 32, MOVING, 16, leading=-2)


def test_another_split_is_another_data_set(tmp_path):
    contents = {
        sample.content()
        for leading in (-1, 0, 12)
        for sample in read_folder(write_lists(tmp_path), 48, 32, 20, 16, leading=leading).samples
    }
    assert len(contents) == 3
