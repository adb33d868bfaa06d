"""A name that two processes want is given to one of them."""

from __future__ import annotations

import errno
import os
import sys

import pytest
import torch

from pack.training.lora import file as lora_file
from pack.training.lora.file import LoraModel, load_lora, save_lora, save_numbered
from pack.training.storage.atomic import write_new


@pytest.fixture(params=["with hard links", "without"])
def disk(request, monkeypatch):
    """A disk as most are, and one of a file system without hard links."""
    if request.param == "without":

        def refuse(*_args, **_more):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    return request.param


def test_a_taken_name_is_refused_and_the_file_stays(tmp_path, disk):  # noqa: ARG001
    path = tmp_path / "deep" / "a.bin"
    write_new(path, b"first")
    with pytest.raises(FileExistsError):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder there is not read-only by its mode")
def test_nothing_is_left_where_it_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "a.bin", b"data")
    assert not list(tmp_path.iterdir())


def lora(number: float) -> LoraModel:
    return LoraModel({"a.lora_up.weight": torch.full((2, 2), number)}, {"who": str(number)})


def test_of_two_savers_of_one_name_each_gets_a_file_of_its_own(tmp_path, monkeypatch, disk):  # noqa: ARG001
    """The second one looks for a name and saves while the first is about to write."""
    write, others = lora_file.save_tensors, []

    def overtaken(path, *what, **how):
        if not others:
            others.append(path)
            save_numbered(lora(2.0), tmp_path, "hero")
        write(path, *what, **how)

    monkeypatch.setattr(lora_file, "save_tensors", overtaken)
    first = save_numbered(lora(1.0), tmp_path, "hero")
    found = {path.name: load_lora(path).metadata["who"] for path in tmp_path.iterdir()}
    assert first.name == "hero_00002_.safetensors"
    assert found == {"hero_00001_.safetensors": "2.0", "hero_00002_.safetensors": "1.0"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_lora_with_values_that_are_no_numbers_is_saved_or_read(tmp_path, value):
    with pytest.raises(ValueError, match=r"saved as a\.safetensors holds values that are no numbers"):
        save_lora(lora(value), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
    from safetensors.torch import save_file

    save_file(dict(lora(value)), tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=r"b\.safetensors holds values .* in a\.lora_up\.weight; it is damaged"):
        load_lora(tmp_path / "b.safetensors")
