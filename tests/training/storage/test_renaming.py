"""Renames that meet another process on Windows."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pack.training.storage import renaming
from pack.training.storage.atomic import write_atomically
from pack.training.storage.renaming import rename


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Time passes by the pauses alone, which are not waited for."""
    made: list[float] = []
    monkeypatch.setattr(renaming, "time", SimpleNamespace(monotonic=lambda: sum(made), sleep=made.append))
    return made


def held(monkeypatch, times: int, code: int = 32) -> list[int]:
    """Let so many renames fail as on Windows while a virus scanner reads the file."""
    tries: list[int] = []
    replace = os.replace

    def busy(source: str, target: str, **options: object) -> None:
        tries.append(len(tries))
        if len(tries) <= times:
            error = PermissionError(13, "The process cannot access the file because it is being used")
            error.winerror = code  # pyright: ignore[reportAttributeAccessIssue]
            raise error
        replace(source, target, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(Path, "replace", lambda self, target: busy(str(self), str(target)))
    return tries


@pytest.mark.parametrize("code", renaming.HELD)
def test_a_file_that_is_held_for_a_moment_is_written_all_the_same(tmp_path, monkeypatch, code):
    (tmp_path / "file").write_bytes(b"old")
    tries = held(monkeypatch, 4, code)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(tries) == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_stays_held_is_an_error_that_leaves_nothing_behind(tmp_path, monkeypatch, pauses):
    (tmp_path / "file").write_bytes(b"old")
    tries = held(monkeypatch, 10**6)
    with pytest.raises(PermissionError, match="being used"):
        write_atomically(tmp_path / "file", b"new")
    assert len(tries) == len(pauses) + 1
    assert renaming.PATIENCE - renaming.LONGEST <= sum(pauses) <= renaming.PATIENCE
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_another_failure_is_told_at_once(tmp_path, monkeypatch):
    tries = held(monkeypatch, 1, code=3)
    with pytest.raises(PermissionError):
        rename(tmp_path / "a", tmp_path / "b")
    assert len(tries) == 1
