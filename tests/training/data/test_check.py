"""The dataset check: each clip as data, and the whole set in plain words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pack.training.data.buckets import Bucket
from pack.training.data.check import FileCheck, caption_tags
from pack.training.data.folder import read_folder
from pack.training.data.media.timing import ClipInfo

PICTURE = np.full((16, 16, 3), 90, np.uint8)


@pytest.fixture
def add(tmp_path, write_video, write_picture):
    """Adds a captioned clip to the folder, with or without a condition."""

    def added(name, caption="a ball rolls", condition=True, suffix=".mp4", **video):
        path = write_video(tmp_path / f"{name}{suffix}", **video)
        (tmp_path / f"{name}.txt").write_text(caption)
        if condition:
            write_picture(tmp_path / f"{name}.condition.png", PICTURE + len(name))
        return path

    return added


def section(report: str, title: str) -> list[str]:
    """Lines under a title, up to the next one."""
    lines = report.splitlines()
    rest = lines[lines.index(title) + 1 :]
    ends = [i for i, line in enumerate(rest) if line.endswith(":")]
    return rest[: ends[0]] if ends else rest


def test_each_clip_is_told_with_all_that_became_of_it(tmp_path, add, write_video):
    add("a", frames=90, fps=30, size=(64, 32))
    add("bob", condition=False, frames=20, fps=10, size=(32, 32))
    write_video(tmp_path / "a.reference.mp4", frames=20, fps=10, size=(32, 32))
    (tmp_path / "a.reference.txt").write_text("another ball")
    dataset = read_folder(tmp_path, 32, 32, 9, 10)
    lines = dataset.report.splitlines()
    assert lines[:2] == [
        "2 clips, 32x32, 9 frames at 10 fps",
        "18 of 50 frames are used; 1 with condition, 1 with reference",
    ]
    assert lines[2] == (
        "a.mp4: 30 → 10 fps, 90 → 30 frames, first 9 of 30 frames kept; 64x32 pixels, 50% cropped; "
        "untagged colours read as BT.601 (SD); caption, 1 condition, reference"
    )
    assert "a.condition.png: 16x16 pixels, enlarged 2 times" in lines
    assert "bob.mp4: first 9 of 20 frames kept; untagged colours read as BT.601 (SD); caption, no condition" in lines
    assert "a.reference.mp4: untagged colours read as BT.601 (SD)" in lines


def test_the_checks_say_the_same_as_data(tmp_path, add):
    add("a", "[VIDEO] a ball", frames=90, fps=30, size=(64, 32))
    (tmp_path / "b.mp4").write_bytes(b"nonsense")
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "c.wmv").write_bytes(b"x")
    a, b, c = read_folder(tmp_path, 32, 32, 9, 10).checks
    assert (a.name, a.used, a.caption, a.tags, a.conditions, a.reference) == ("a", True, True, "wrong", 1, False)
    assert a.bucket == Bucket(32, 32, 9)
    assert a.target is not None
    assert (a.target.info.fps, a.target.fps, a.target.frames, a.target.dropped) == (pytest.approx(30), 10, 9, 21)
    assert a.target.cropped == pytest.approx(0.5)
    assert [other.file for other in a.others] == ["a.condition.png"]
    assert (b.used, b.target, b.caption) == (False, None, True)
    assert "b.mp4 cannot be read" in b.reason
    assert (c.name, c.used) == ("c.wmv", False)


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("a ball", "none"),
        ("[CONDITION] a still [VIDEO] a ball", "both"),
        ("a ball [VIDEO]", "wrong"),
        ("[CONDITION] a still, a ball", "wrong"),
        ("[VIDEO] a ball [CONDITION] a still", "wrong"),
        ("[condition] a still [video] a ball", "wrong"),
    ],
)
def test_tags_are_both_there_in_order_or_wrong(caption, tags):
    assert caption_tags(caption) == tags


def test_captions_with_half_of_the_tags_are_named(tmp_path, add):
    add("a", "a ball [VIDEO] rolls")
    add("bb", "[CONDITION] a still [VIDEO] a ball")
    add("ccc")
    report = read_folder(tmp_path, 16, 16, 9, 10).report
    warned = [line for line in section(report, "look at:") if "tags" in line]
    assert len(warned) == 1
    assert warned[0].startswith("a: the caption's tags are incomplete; write [CONDITION] and then [VIDEO]")
    assert "1 of 3 captions with the tags [CONDITION] and [VIDEO]: write all in one form" in report


def test_copies_are_named_with_their_original(tmp_path, add):
    path = add("a")
    add("bb", frames=12)
    (tmp_path / "ccc.mp4").write_bytes(path.read_bytes())
    (tmp_path / "ccc.txt").write_text("again")
    (tmp_path / "bb.condition_2.mp4").write_bytes((tmp_path / "bb.mp4").read_bytes())
    dataset = read_folder(tmp_path, 16, 16, 9, 10)
    assert [check.duplicate_of for check in dataset.checks] == ["", "", "a"]
    lines = section(dataset.report, "look at:")
    assert "ccc: its target is the same file as that of a, so it counts twice" in lines
    assert "bb: bb.condition_2.mp4 has the same content as its target" in lines
    assert "1 of 3 clips copied from another: remove it" in dataset.report


def test_a_variable_rate_and_a_much_enlarged_clip_are_named(tmp_path, add):
    add("a", frames=20, fps=30, times=[0, 100, 130, 160, 500, 520, 540, 1000, 1100, 1200], size=(64, 64))
    lines = section(read_folder(tmp_path, 128, 128, 9, 10).report, "look at:")
    assert lines[0] == "a: a.mp4 has a variable frame rate (20 to 460 ms a frame); it is taken by its timestamps"
    assert "a: a.mp4 is enlarged 2 times and teaches blur; use a larger file" in lines


def test_a_steady_rate_is_not_called_variable(tmp_path, write_video):
    from pack.training.data.media.decode import probe

    for suffix, fps in ((".mp4", 24), (".webm", 24), (".mkv", 60), (".gif", 15)):
        assert not probe(write_video(tmp_path / f"a{suffix}", frames=20, fps=fps)).variable


def test_advice_names_the_choice_that_helps(tmp_path, add):
    add("a", size=(96, 32))
    add("bb", frames=5, size=(32, 32))
    add("ccc", size=(32, 32))
    assert section(read_folder(tmp_path, 32, 32, 9, 10).report, "advice:") == [
        '1 of 2 clips cropped by more than a quarter: choose buckets "by aspect", or a width and height of that shape',
        '1 clip too short: choose buckets "by aspect and length", or fewer frames',
    ]
    advice = section(read_folder(tmp_path, 32, 32, 9, 10, buckets="by aspect and length").report, "advice:")
    assert advice == ["3 buckets of one clip: with a batch_size above 1 such a clip fills its batches alone"]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ((False, False), "no clip has a condition: TIC-FT needs NAME.condition.<ext> beside each"),
        ((True, False), "1 of 2 clips without a condition: TIC-FT needs one for each"),
        ((True, True), ""),
    ],
)
def test_missing_conditions_are_advised_on(tmp_path, add, conditions, said):
    for name, condition in zip(("a", "bb"), conditions, strict=True):
        add(name, condition=condition, frames=9 + len(name), size=(32, 32))
    report = read_folder(tmp_path, 16, 16, 9, 10).report
    assert said in report
    assert ("advice:" in report) == bool(said)


def test_unlike_numbers_of_conditions_are_advised_on(tmp_path, add, write_picture):
    add("a")
    add("bb")
    write_picture(tmp_path / "a.condition_2.png", PICTURE)
    assert "different numbers of conditions" in read_folder(tmp_path, 16, 16, 9, 10).report


def test_what_lies_about_is_named(tmp_path, add, write_picture):
    add("a")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "dog.txt").write_text("a dog")
    for i in range(9):
        write_picture(tmp_path / "walk" / f"{i}.png", PICTURE)
    (tmp_path / "walk" / "notes.doc").write_bytes(b"x")
    (tmp_path / "walk" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "walk.txt").write_text("a walk")
    report = read_folder(tmp_path, 16, 16, 9, 10).report
    assert section(report, "not part of a clip:")[:2] == [".DS_Store: hidden", "dog.txt: a caption without a clip"]
    assert "walk: 9 pictures taken as 10 fps; no pictures and not used: .hidden.png, notes.doc" in report


def test_a_number_is_right_for_a_turned_picture():
    check = FileCheck("a.mp4", ClipInfo(10, 10.0, 1.0, 100, 200), 10.0, 8, 50, 50)
    assert (check.available, check.dropped) == (10, 2)
    assert check.cropped == pytest.approx(0.5)
    assert check.enlarged == pytest.approx(0.5)
    assert re.fullmatch("100x200 pixels, 50% cropped", check.picture()[0])
