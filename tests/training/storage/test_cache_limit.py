"""The cache folder stays within its limit: what was used longest ago goes first."""

from __future__ import annotations

import os

import pytest
import torch

from pack.training.storage.cache import DiskCache

SIZE = 5000  # bytes of an entry with its header, about


def entry(number: float) -> dict[str, torch.Tensor]:
    return {"x": torch.full((1125,), number + 1 / 3)}  # which 16 bits do not hold


def filled(folder, keys: str, most: int | None = None) -> DiskCache:
    """A cache with one entry a key, each used later than the one before."""
    cache = DiskCache(folder, most)
    for age, key in enumerate(keys):
        cache.put(key, entry(age))
        os.utime(cache.path(key), (1000.0 + age, 1000.0 + age))
    return cache


def kept(folder, keys: str) -> str:
    return "".join(key for key in keys if DiskCache(folder).path(key).is_file())


def test_entries_that_were_used_longest_ago_make_room(tmp_path):
    filled(tmp_path, "abcd")
    DiskCache(tmp_path, 3 * SIZE + 1000).put("e", entry(5))
    assert kept(tmp_path, "abcde") == "cde"


def test_reading_an_entry_is_a_use(tmp_path):
    filled(tmp_path, "abcd")
    assert DiskCache(tmp_path).get("a") is not None
    DiskCache(tmp_path, 3 * SIZE + 1000).put("e", entry(5))
    assert kept(tmp_path, "abcde") == "ade"


def test_what_a_run_has_used_is_not_removed_under_it(tmp_path, caplog):
    filled(tmp_path, "ab")
    cache = DiskCache(tmp_path, SIZE + 1000)
    assert cache.get("a") is not None
    with caplog.at_level("INFO"):
        cache.put("c", entry(3))
    assert kept(tmp_path, "abc") == "ac"
    assert "all of which this run uses" in caplog.text


def test_files_of_others_and_a_folder_without_a_limit_are_left_alone(tmp_path):
    filled(tmp_path, "abcdefgh")
    (tmp_path / "note.txt").write_text("mine")
    assert kept(tmp_path, "abcdefgh") == "abcdefgh"
    DiskCache(tmp_path, SIZE + 1000).put("i", entry(9))
    assert kept(tmp_path, "abcdefghi") == "i"
    assert (tmp_path / "note.txt").exists()


@pytest.mark.parametrize("most", [3 * SIZE + 1000, 3 * SIZE + 2000])
def test_the_total_is_counted_once_and_then_kept(tmp_path, monkeypatch, most):
    cache, counted = filled(tmp_path, "a", most), []
    entries = cache.entries
    monkeypatch.setattr(cache, "entries", lambda: (counted.append(1), entries())[1])
    for key in "bc":
        cache.put(key, entry(1))
    assert not counted
