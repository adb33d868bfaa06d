"""The table of clips: every finding of each, and small pictures."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pack.training.data import report_table as table_module
from pack.training.data.folder import read_folder
from pack.training.data.media.decode import read_image
from pack.training.data.report_table import HEIGHT, report_table


@pytest.fixture
def folder(tmp_path, write_video, write_picture):
    """A clip with a condition and a wrong caption, and one that has nothing right."""
    place = tmp_path / "set"
    place.mkdir()
    write_video(place / "b_good.mp4", frames=20, fps=10, size=(480, 320))
    write_picture(place / "b_good.condition.png", np.full((400, 200, 3), 90, np.uint8))
    (place / "b_good.txt").write_text("[VIDEO] a cat")
    write_video(place / "a_bad.mp4", frames=5)
    write_picture(place / "a_bad.condition_2.png", np.full((16, 16, 3), 90, np.uint8))
    (place / "a_bad.txt").write_text("\n")
    return place


def table_of(folder, tmp_path):
    return report_table(read_folder(folder, 32, 32, 9, 10), tmp_path / "pictures", lambda path: {"filename": path.name})


def test_clips_that_are_used_come_first_with_all_that_was_found(folder, tmp_path):
    table = table_of(folder, tmp_path)
    assert [(row["name"], row["used"]) for row in table["rows"]] == [("b_good", True), ("a_bad", False)]
    assert (table["used"], table["found"]) == (1, 2)
    good, bad = table["rows"]
    assert good["facts"] == "32x32, 9 frames, 1 condition"
    assert good["caption"] == "[VIDEO] a cat"
    assert any("the caption's tags are incomplete" in text for text in good["warnings"])
    assert any(text.startswith("b_good.mp4: first 9 of 20 frames kept") for text in good["notes"])
    assert any(text.startswith("b_good.condition.png: 200x400 pixels") for text in good["notes"])
    assert len(bad["reasons"]) == 3
    for reason, part in zip(bad["reasons"], ("is too short", "condition_2 without condition", "is empty"), strict=True):
        assert part in reason
    assert bad["target"] is None
    assert table["advice"][1:] == ['1 clip too short: choose buckets "by aspect and length", or fewer frames']


def test_pictures_show_the_first_frames_small_and_are_made_once(folder, tmp_path):
    good = table_of(folder, tmp_path)["rows"][0]
    target, condition = (tmp_path / "pictures" / good[name]["filename"] for name in ("target", "condition"))
    assert read_image(target).shape == (HEIGHT, HEIGHT * 480 // 320, 3)
    assert read_image(condition).shape == (HEIGHT, HEIGHT // 2, 3)
    assert (round(read_image(target).mean()), round(read_image(condition).mean())) == (0, 90)
    before = target.stat().st_mtime_ns
    table_of(folder, tmp_path)
    assert target.stat().st_mtime_ns == before


def test_kept_pictures_are_bounded_and_the_oldest_go_first(folder, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    for age in range(4):
        path = kept / f"old_{age}"
        path.write_bytes(b"a picture")
        os.utime(path, (1000 - age,) * 2)
    monkeypatch.setattr(table_module, "MOST_KEPT", 3)
    report_table(read_folder(folder, 32, 32, 9, 10), tmp_path / "pictures", lambda path: {"filename": path.name}, kept)
    names = {path.name for path in kept.iterdir()}
    assert len(names) == 3
    assert names & {f"old_{age}" for age in range(4)} == {"old_0"}


def test_every_reason_stands_in_the_report_too(folder):
    line = next(line for line in read_folder(folder, 32, 32, 9, 10).report.splitlines() if line.startswith("a_bad: "))
    assert all(part in line for part in ("is too short", "condition_2 without condition", "a_bad.txt is empty"))
