"""Several ComfyUIs encode into one folder: no write fails, and a long folder costs a write no time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pack
from pack.training.storage.cache import DiskCache

WRITER = """
import importlib.util, os, pathlib, sys
root, folder, number, most = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
spec = importlib.util.spec_from_file_location("pack", root / "__init__.py", submodule_search_locations=[str(root)])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
import torch
from pack.training.storage.cache import DiskCache
os.fsync = lambda _file: None  # the disk's speed is not what is tested
print("ready", flush=True)
sys.stdin.readline()
for i in range(100):
    old = folder / f"left by {number} {i}.tmp"  # of a process that was killed, which whoever sees it removes
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache = DiskCache(folder, int(most) or None)
    cache.put(f"{i % 9}", {"x": torch.full((400,), i % 9 + 1 / 3)})
    cache.get(f"{(i + 4) % 9}")
print("done", flush=True)
"""


@pytest.mark.parametrize("most", [0, 6000], ids=["no limit", "with a limit"])
def test_two_processes_write_into_one_folder_without_an_error(tmp_path, most):
    root = str(Path(pack.__file__).parent)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, root, str(tmp_path), str(number), str(most)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    for writer in writers:  # both begin only once both are there
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    ends = [writer.communicate() for writer in writers]
    assert [end[0] for end in ends] == ["done\n"] * 2, ends
    assert not list(tmp_path.glob("left by *"))
    found = [DiskCache(tmp_path).get(str(i)) for i in range(9)]
    whole = [entry for entry in found if entry is not None]
    assert len(whole) >= (1 if most else 9)
    assert all(torch.equal(entry["x"], torch.full((400,), float(entry["x"][0]))) for entry in whole)


@pytest.mark.parametrize("most", [None, 10**9, 1], ids=["no limit", "far from the limit", "over the limit"])
def test_the_folder_is_listed_as_often_for_many_writes_as_for_a_few(tmp_path, monkeypatch, most):
    listings, listed = [], Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, *rest: (listings.append(path), listed(path, *rest))[1])
    counts = []
    for writes in (2, 40):
        cache, before = DiskCache(tmp_path, most), len(listings)
        for i in range(writes):
            cache.put(f"{writes} {i}", {"x": torch.zeros(4)})
        counts.append(len(listings) - before)
    assert counts[0] == counts[1] <= 2


def test_what_another_cache_of_the_process_uses_is_not_removed(tmp_path):
    first, foreign = DiskCache(tmp_path), DiskCache(tmp_path)
    first.put("a", {"x": torch.full((400,), 1 / 3)})
    foreign.put("b", {"x": torch.full((400,), 1 / 3)})
    for key in "ab":
        os.utime(first.path(key), (0, 0))
    del foreign
    DiskCache(tmp_path, 100).put("c", {"x": torch.full((400,), 1 / 3)})
    assert first.get("a") is not None
    assert first.get("b") is None
