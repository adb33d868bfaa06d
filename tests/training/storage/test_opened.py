"""Files that another process removes or replaces at the moment in which they are opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pack.training.lora.file import LoraModel, load_lora, read_metadata, save_lora
from pack.training.storage.cache import DiskCache
from pack.training.storage.state_file import read_state, write_state


@pytest.fixture
def between(monkeypatch):
    """Have this done to a file when the library has read its head and torch is about to open it for the numbers."""
    from_file = torch.UntypedStorage.from_file

    def wanted(change):
        def at_once(path, **how):
            change(Path(path))
            return from_file(path, **how)

        monkeypatch.setattr(torch.UntypedStorage, "from_file", staticmethod(at_once))

    return wanted


def test_an_entry_that_another_process_removes_is_absent(tmp_path, between, caplog):
    cache = DiskCache(tmp_path)
    cache.put("a", {"x": torch.ones(4)})
    between(os.unlink)
    assert cache.get("a") is None
    assert not caplog.text


def test_an_entry_that_another_process_replaces_is_made_again(tmp_path, between, caplog):
    cache = DiskCache(tmp_path)
    cache.put("a", {"x": torch.ones(4)})

    def replaced(path):
        path.unlink()
        path.mkdir()  # torch cannot open it, as with a file that somebody holds

    between(replaced)
    assert cache.get("a") is None
    assert "it was replaced while it was opened" in caplog.text


@pytest.mark.parametrize("read", [load_lora, read_metadata])
def test_a_lora_that_is_removed_is_a_file_that_is_not_there(tmp_path, between, read):
    path = save_lora(LoraModel({"a": torch.ones(4)}), tmp_path / "a.safetensors")
    between(os.unlink)
    with pytest.raises(FileNotFoundError, match="it was removed while it was opened"):
        read(path)


def test_a_state_that_is_removed_is_no_state(tmp_path, between):
    path = write_state(tmp_path / "state.safetensors", {"a": torch.ones(4)})
    between(os.unlink)
    with pytest.raises(ValueError, match=r"cannot be read .*it was removed while it was opened"):
        read_state(path)
