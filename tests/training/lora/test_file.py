"""LoRA files: whole, readable, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pack.training.lora import file as lora_file
from pack.training.lora.file import LoraModel, load_lora, read_metadata, same_lora, save_lora, unique_path
from pack.training.lora.metadata import PACK_VERSION, from_metadata, to_metadata
from pack.training.storage import cache
from pack.training.storage import opened as opening


def some_lora() -> LoraModel:
    tensors = {
        "diffusion_model.a.lora_up.weight": torch.randn(4, 2),
        "diffusion_model.a.alpha": torch.tensor(2.0),
    }
    return LoraModel(tensors, {"fewshot_video.task": "keyframes"})


def test_a_file_holds_tensors_and_metadata(tmp_path):
    lora = some_lora()
    path = save_lora(lora, tmp_path / "deep" / "a.safetensors")
    assert same_lora(load_lora(path), lora)
    assert read_metadata(path) == lora.metadata
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def test_the_same_lora_makes_the_same_bytes(tmp_path):
    lora = some_lora()
    first, second = (save_lora(lora, tmp_path / f"{name}.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_nothing_is_overwritten(tmp_path):
    path = save_lora(some_lora(), tmp_path / "a.safetensors")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"a\.safetensors"):
        save_lora(some_lora(), path)
    assert path.read_bytes() == before


def test_an_empty_lora_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no tensors"):
        save_lora(LoraModel({}), tmp_path / "a.safetensors")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_lora(some_lora(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_read_back_is_reported_and_removed(tmp_path, monkeypatch):
    write = lora_file.save_tensors

    def damage(path: Path, *what: object, **how: object) -> None:
        write(path, *what, **how)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    monkeypatch.setattr(lora_file, "save_tensors", damage)
    with pytest.raises(RuntimeError, match="does not hold"):
        save_lora(some_lora(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_share_a_temporary_name(tmp_path, monkeypatch):
    names, replace = [], Path.replace

    def look(self, target):
        names.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    for _ in range(2):
        cache.write_atomically(tmp_path / "a.safetensors", b"")
    assert len(set(names)) == 2


def test_free_names_count_up_past_gaps(tmp_path):
    for number in (1, 4):
        (tmp_path / f"run_{number:05}_.safetensors").touch()
    (tmp_path / "running_00009_.safetensors").touch()
    assert unique_path(tmp_path, "run").name == "run_00005_.safetensors"
    assert unique_path(tmp_path / "new", "run").name == "run_00001_.safetensors"


def test_a_foreign_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors is not a readable"):
        read_metadata(tmp_path / "a.safetensors")


def test_a_record_survives_the_metadata_and_carries_the_packs_version(root):
    record = from_metadata({**to_metadata({"task": "keyframes"}), "ss_other": "x"})
    assert record == {"task": "keyframes", "pack_version": PACK_VERSION}
    assert f'\nversion = "{PACK_VERSION}"\n' in (root / "pyproject.toml").read_text(encoding="utf-8")


def test_names_that_differ_in_capitals_do_not_share_a_number(tmp_path):
    (tmp_path / "style_00003_.safetensors").touch()
    assert unique_path(tmp_path, "Style").name == "Style_00004_.safetensors"


@pytest.mark.parametrize("read", [load_lora, read_metadata])
def test_a_file_that_is_held_is_told_as_such(tmp_path, monkeypatch, read):
    def held(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = save_lora(LoraModel({"a": torch.ones(2)}), tmp_path / "a.safetensors")
    monkeypatch.setattr(opening, "safe_open", held)
    with pytest.raises(
        ValueError, match=r"^a\.safetensors cannot be read now \(Permission denied\); close what holds it"
    ):
        read(path)
