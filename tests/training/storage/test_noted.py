"""What was found in files is found again while they stay as they are, and not a moment longer."""

from __future__ import annotations

import os

import pytest
import torch

from pack.training.storage import noted as noted_module
from pack.training.storage import opened as opening
from pack.training.storage.cache import HEADS, DiskCache
from pack.training.storage.noted import Noted, stamps

SHAPE = {"x": torch.Size((3, 4))}


def filled(folder, keys: str = "ab") -> None:
    cache = DiskCache(folder)
    for key in keys:
        cache.put(key, {"x": torch.randn(3, 4)})
    cache.settle()


def opened(monkeypatch) -> list[str]:
    """Names of the entries that are opened from now on."""
    names: list[str] = []
    open_file = opening.safe_open

    def heard(path, **how):
        names.append(path.stem)
        return open_file(path, **how)

    monkeypatch.setattr(opening, "safe_open", heard)
    return names


def test_entries_of_an_unchanged_set_are_not_opened(tmp_path, monkeypatch):
    filled(tmp_path)
    names = opened(monkeypatch)
    cache = DiskCache(tmp_path)
    assert [cache.shapes(key) for key in "abc"] == [SHAPE, SHAPE, None]
    assert not names


def test_an_entry_that_was_replaced_damaged_or_removed_is_looked_at(tmp_path, monkeypatch):
    filled(tmp_path, "abc")
    cache = DiskCache(tmp_path)
    whole = cache.path("a").read_bytes()
    cache.path("a").write_bytes(whole[:-8])  # shorter
    cache.path("b").write_bytes(whole)  # another's, of the same length
    os.utime(cache.path("b"), (1000.0, 1000.0))  # the clock may not have moved since
    cache.path("c").unlink()
    names = opened(monkeypatch)
    assert [DiskCache(tmp_path).shapes(key) for key in "abc"] == [None, None, None]
    assert names == [cache.path("a").stem, cache.path("b").stem]


def test_a_use_that_moves_the_time_of_an_entry_is_noted(tmp_path, monkeypatch):
    filled(tmp_path, "a")
    path = DiskCache(tmp_path).path("a")
    os.utime(path, (1000.0, 1000.0))  # long ago
    names = opened(monkeypatch)
    for _ in range(2):
        cache = DiskCache(tmp_path)
        assert cache.shapes("a") == SHAPE
        cache.settle()
    assert len(names) == 1
    assert path.stat().st_mtime > 2000.0


@pytest.mark.parametrize("text", ["", "[]", '{"format": "fewshot_video.noted 1", "entries": {"%s": 3}}'])
def test_notes_that_are_damaged_are_none(tmp_path, text):
    filled(tmp_path, "a")
    (tmp_path / HEADS).write_text(text.replace("%s", DiskCache(tmp_path).path("a").stem))
    assert DiskCache(tmp_path).shapes("a") == SHAPE


@pytest.mark.parametrize("value", [3, {"x": "y"}, {"x": [1.5]}, [1]])
def test_a_note_that_is_no_shape_is_none(tmp_path, value):
    filled(tmp_path, "a")
    path = DiskCache(tmp_path).path("a")
    notes = Noted(tmp_path / HEADS)
    notes.note(path.stem, stamps(path.stat()), value)
    notes.save()
    assert DiskCache(tmp_path).shapes("a") == SHAPE


def test_entries_that_are_gone_are_left_out(tmp_path):
    filled(tmp_path, "ab")
    cache = DiskCache(tmp_path)
    cache.discard("a")
    cache.put("c", {"x": torch.randn(3, 4)})
    cache.settle()
    text = (tmp_path / HEADS).read_text()
    assert [cache.path(key).stem in text for key in "abc"] == [False, True, True]


def test_two_processes_keep_each_others_notes(tmp_path):
    (tmp_path / "clip").write_text("x")
    seen = stamps((tmp_path / "clip").stat())
    first, second = (Noted(tmp_path / "notes.json") for _ in range(2))
    for notes, name in ((first, "a"), (second, "b")):
        assert notes.find(name, seen) is None
        notes.note(name, seen, name)
    first.save()
    second.save()
    again = Noted(tmp_path / "notes.json")
    assert [again.find(name, seen) for name in "abc"] == ["a", "b", None]


def test_there_are_no_more_notes_than_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(noted_module, "MOST", 2)
    seen, notes = stamps(tmp_path.stat()), Noted(tmp_path / "notes.json")
    for name in "abc":
        notes.note(name, seen, 1)
    notes.save()
    assert [Noted(tmp_path / "notes.json").find(name, seen) for name in "abc"] == [None, 1, 1]


def test_notes_that_would_be_too_long_to_be_read_lose_the_first_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(noted_module, "LONGEST", 200)
    notes = Noted(tmp_path / "notes.json")
    for i in range(8):
        notes.note(str(i), [1], "x" * 30)
    notes.save()
    assert (tmp_path / "notes.json").stat().st_size <= 200
    assert [Noted(tmp_path / "notes.json").find(str(i), [1]) for i in (0, 7)] == [None, "x" * 30]
