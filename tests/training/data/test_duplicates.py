"""Clips that are in a folder twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pack.training.data import duplicates
from pack.training.data.duplicates import earlier_copies


def test_a_copy_is_told_by_its_bytes_and_not_by_its_size(tmp_path):
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one"), ("d", b"one"), ("e", b"three")):
        (tmp_path / name).write_bytes(content)
    copies = earlier_copies(tmp_path / name for name in "abcde")
    assert {copy.name: first.name for copy, first in copies.items()} == {"c": "a", "d": "a"}


def test_folders_of_pictures_are_compared_picture_by_picture(tmp_path, write_picture):
    for folder, level in (("a", 10), ("b", 20), ("c", 10)):
        write_picture(tmp_path / folder / "0.png", np.full((16, 16, 3), level, np.uint8))
    copies = earlier_copies(tmp_path / name for name in "abc")
    assert copies == {tmp_path / "c": tmp_path / "a"}


def test_only_files_of_one_size_are_read(tmp_path, monkeypatch):
    for name, content in (("a", b"1"), ("b", b"22"), ("c", b"333")):
        (tmp_path / name).write_bytes(content)
    read = []
    monkeypatch.setattr(duplicates, "clip_digest", lambda path: read.append(path) or Path(path).name)
    assert earlier_copies(tmp_path / name for name in "abc") == {}
    assert read == []
