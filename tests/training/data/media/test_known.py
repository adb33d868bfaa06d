"""An unchanged folder of clips is neither opened nor decoded again in a later session; whatever changed is."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pack.training.data.folder import read_folder
from pack.training.data.media import known
from pack.training.data.media.options import ReadOptions
from pack.training.data.report_table import report_table
from pack.training.storage.known_files import FILE, files_known

LONG_AGO = (1000.0, 1000.0)


@pytest.fixture
def folder(tmp_path, write_video, write_picture):
    """A clip with a condition, and a clip of pictures."""
    place = tmp_path / "set"
    place.mkdir()
    write_video(place / "a.mp4", frames=12)
    write_picture(place / "a.condition.png", np.full((16, 16, 3), 90, np.uint8))
    for i in range(9):
        write_picture(place / "b" / f"{i}.png", np.full((16, 16, 3), 20 * i, np.uint8))
    for name in "ab":
        (place / f"{name}.txt").write_text("a cat")
    settle(place)
    return place


def settle(folder) -> None:
    for path in folder.rglob("*.*"):
        os.utime(path, LONG_AGO)


@pytest.fixture
def looked_at(monkeypatch):
    """Names of what is opened or decoded, each time."""
    names = []
    for name in ("probe", "read_frames", "still_frames"):
        function = getattr(known, name)

        def heard(path, *more, _function=function):
            names.append(path.name)
            return _function(path, *more)

        monkeypatch.setattr(known, name, heard)
    return names


def read(folder, frames=9, **more):
    """What the folder holds, as a new session finds it."""
    known.known_notes.cache_clear()
    with files_known(folder.with_name("kept")):
        return read_folder(folder, 16, 16, frames, 10, **more)


def test_an_unchanged_folder_is_told_the_same_without_a_look(folder, looked_at):
    first = read(folder)
    assert sorted(set(looked_at)) == ["a.condition.png", "a.mp4", "b"]
    looked_at.clear()
    again = read(folder)
    assert not looked_at
    assert again.report == first.report
    assert again.checks == first.checks
    assert [sample.target.key() for sample in again.samples] == [sample.target.key() for sample in first.samples]
    assert "a.mp4" not in (folder.with_name("kept") / FILE).read_text()  # nobody's names


def test_without_a_place_for_it_nothing_is_known_in_a_later_session(folder, looked_at):
    for _ in range(2):
        looked_at.clear()
        known.known_notes.cache_clear()
        read_folder(folder, 16, 16, 9, 10)
        assert "a.mp4" in looked_at


@pytest.mark.parametrize(
    ("changed", "name"), [("a.mp4", "a.mp4"), ("a.condition.png", "a.condition.png"), ("b/3.png", "b")]
)
def test_a_changed_file_alone_is_looked_at(folder, looked_at, changed, name):
    read(folder)
    looked_at.clear()
    os.utime(folder / changed, (2000.0, 2000.0))
    read(folder)
    assert set(looked_at) == {name}


def test_what_is_asked_otherwise_is_looked_at(folder, looked_at):
    read(folder)
    for more in ({"frames": 8}, {"options": ReadOptions("white")}):
        looked_at.clear()
        read(folder, **more)
        assert "a.mp4" in looked_at


def test_what_another_decoder_or_version_found_is_not_believed(folder, looked_at, monkeypatch):
    read(folder)
    for name, change in (("decoder_of", lambda _still: "PyAV 99"), ("_code", lambda: "another")):
        looked_at.clear()
        with monkeypatch.context() as patch:
            patch.setattr(known, name, change)
            read(folder)
        assert "a.mp4" in looked_at


def test_a_clip_that_was_refused_is_tried_again(folder, looked_at):
    whole = (folder / "a.mp4").read_bytes()
    (folder / "a.mp4").write_bytes(whole[: len(whole) // 2])
    settle(folder)
    for _ in range(2):
        looked_at.clear()
        assert "a: " in read(folder).report
        assert "a.mp4" in looked_at


def test_where_the_target_begins_is_known_too(folder, looked_at):
    first = read(folder, leading=3, frames=6)
    looked_at.clear()
    again = read(folder, leading=3, frames=6)
    assert not looked_at
    assert again.report == first.report


@pytest.mark.parametrize("found", [3, [], {"said": 3}, {"frames": 1}, "x"])
def test_a_note_that_is_no_finding_is_none(folder, looked_at, monkeypatch, found):
    first = read(folder)
    monkeypatch.setattr("pack.training.storage.noted.Noted.find", lambda *_: found)
    looked_at.clear()
    assert read(folder).report == first.report
    assert "a.mp4" in looked_at


def test_small_pictures_of_the_table_are_brought_where_the_temp_folder_was_emptied(folder, tmp_path, monkeypatch):
    def pictures(place) -> list[bytes]:
        table = report_table(found, place, lambda path: {"filename": path.name}, tmp_path / "kept" / "pictures")
        return [(place / row["target"]["filename"]).read_bytes() for row in table["rows"]]

    found = read(folder)
    first = pictures(tmp_path / "temp")
    monkeypatch.setattr("pack.training.data.report_table.read_frames", None)
    assert pictures(tmp_path / "emptied") == first
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError))  # a disk without links
    assert pictures(tmp_path / "elsewhere") == first
