"""Files that are whole or not there, written from where the tensors lie."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pack.training.storage.atomic import clear_temporary, save_tensors

SIZE = 128 * 2**20  # bytes of a state
PEAK = """
import importlib.util, pathlib, resource, sys
root = pathlib.Path(sys.argv[1])
spec = importlib.util.spec_from_file_location("pack", root / "__init__.py", submodule_search_locations=[str(root)])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
import torch
from pack.training.storage.state_file import write_state

path, small = pathlib.Path(sys.argv[2]), {"a": torch.zeros(10)}
write_state(path, small)  # what is loaded but once
values = {"moments": [torch.ones(int(sys.argv[3]) // 16) for _ in range(4)]}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_state(path, values)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_saving_a_state_takes_next_to_no_memory(root, tmp_path):
    """A copy of the state, which may have gigabytes, is what kills a run on a computer that has just enough."""
    command = [sys.executable, "-c", PEAK, str(root), str(tmp_path / "state.safetensors"), str(SIZE)]
    kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kib * 1024 <= 0.1 * SIZE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_whoever_may_read_the_users_other_files_may_read_this_one(tmp_path, mask):
    """The library's own files are for the owner alone: a ComfyUI in a container would hide its LoRAs from its user."""
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "lora.safetensors", {"a": torch.zeros(3)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lora.safetensors").stat().st_mode) == 0o666 & ~mask


def test_a_file_that_cannot_be_written_is_an_error_of_the_system_and_keeps_the_old_one(tmp_path, monkeypatch):
    import safetensors.torch
    from safetensors import SafetensorError

    path = tmp_path / "state.safetensors"
    save_tensors(path, {"a": torch.zeros(3)})

    def full(*_args: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_tensors(path, {"a": torch.ones(3)})
    assert caught.value.errno == errno.ENOSPC
    assert torch.equal(load_file(path)["a"], torch.zeros(3))
    assert [found.name for found in tmp_path.iterdir()] == ["state.safetensors"]


def test_what_killed_processes_left_is_cleared_and_nothing_else(tmp_path):
    for name in ("run.json", "state.safetensors", "run.json.0a.tmp", ".tmpX1y2Z3"):
        Path(tmp_path, name).touch()
    clear_temporary(tmp_path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["run.json", "state.safetensors"]
