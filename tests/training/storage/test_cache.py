"""The cache on disk: whole entries or none."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pack.training.storage.atomic import write_atomically
from pack.training.storage.cache import DiskCache


def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "x0": torch.randn(4, 3, 2, 2, generator=generator),
        "ids": torch.arange(5),
        "scalar": torch.tensor(2.0),
    }


def assert_same(found, wanted):
    assert found is not None
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) and found[name].dtype == wanted[name].dtype for name in wanted)


def test_what_was_stored_comes_back_and_nothing_else(tmp_path):
    cache = DiskCache(tmp_path / "made" / "on demand")
    assert cache.get("a") is None
    cache.put("a", tensors())
    assert_same(DiskCache(cache.folder).get("a"), tensors())
    assert cache.get("b") is None
    assert [p.name for p in cache.folder.iterdir()] == [cache.path("a").name]


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_entry_is_absent_and_can_be_stored_again(tmp_path, caplog, keep):
    cache = DiskCache(tmp_path)
    cache.put("a", tensors())
    cache.put("b", tensors())
    cache.path("a").write_bytes(cache.path("a").read_bytes()[:keep])
    assert cache.get("a") is None
    assert "will be made again" in caplog.text
    assert_same(cache.get("b"), tensors())
    cache.put("a", tensors())
    assert_same(cache.get("a"), tensors())


def test_one_flipped_bit_in_the_tensors_is_noticed(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("a", tensors())
    data = bytearray(cache.path("a").read_bytes())
    data[-1] ^= 1
    cache.path("a").write_bytes(bytes(data))
    assert cache.get("a") is None


def test_a_foreign_file_under_the_right_name_is_not_believed(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("b", tensors())
    cache.path("a").write_bytes(cache.path("b").read_bytes())
    assert cache.get("a") is None
    save_file(tensors(), cache.path("c"))
    assert cache.get("c") is None


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = DiskCache(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RuntimeError, match="the disk is full; free some space or turn the cache off"):
        cache.put("a", tensors())
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, b"old")

    def broken(_self, _target):
        raise OSError("cut")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="cut"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_swept_but_not_what_is_being_written(tmp_path):
    old, fresh = tmp_path / "x.1.tmp", tmp_path / "x.2.tmp"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    DiskCache(tmp_path).put("a", tensors())
    assert not old.exists()
    assert fresh.exists()


def test_entries_can_be_replaced_while_their_tensors_are_in_use(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("a", tensors())
    found = cache.get("a")
    cache.put("a", {"x0": torch.zeros(1)})
    assert_same(found, tensors())
