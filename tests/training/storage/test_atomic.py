"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch

from pack.training.storage.atomic import clear_temporary
from pack.training.storage.tensor_file import save_tensors


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_whoever_may_read_the_users_other_files_may_read_this_one(tmp_path, mask):
    """safetensors' own files are for the owner alone: a ComfyUI in a container would hide its LoRAs from its user."""
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "lora.safetensors", {"a": torch.zeros(3)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lora.safetensors").stat().st_mode) == 0o666 & ~mask


def test_what_killed_processes_left_is_cleared_and_nothing_else(tmp_path):
    for name in ("run.json", "state.safetensors", "run.json.0a.tmp", ".tmpX1y2Z3"):
        Path(tmp_path, name).touch()
    clear_temporary(tmp_path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["run.json", "state.safetensors"]
