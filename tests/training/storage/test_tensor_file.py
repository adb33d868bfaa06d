"""Safetensors files written piece by piece: the library's bytes, and no second copy in memory."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save

from pack.training.storage import tensor_file
from pack.training.storage.tensor_file import TYPES, checksum, holds, save_tensors

SIZE = 128 * 2**20  # bytes of what is saved
PEAK = """
import importlib.util, pathlib, resource, sys
root = pathlib.Path(sys.argv[1])
spec = importlib.util.spec_from_file_location("pack", root / "__init__.py", submodule_search_locations=[str(root)])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
import torch
from pack.training.lora.file import LoraModel, save_lora
from pack.training.storage import tensor_file
from pack.training.storage.state_file import write_state

folder, size, way = pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def state(values, name):
    write_state(folder / name, {"moments": values})
def lora(values, name):
    save_lora(LoraModel({f"{i}.lora_up.weight": value for i, value in enumerate(values)}), folder / name)
write = lora if way == "a LoRA" else state
write([torch.ones(10)], "small.safetensors")  # what is loaded but once
values = [torch.ones(1024, size // 4 // 1024 // 32) for _ in range(32)]
if way == "a state on a card":  # whose tensors have to be copied to be written
    tensor_file.is_here = lambda tensor: False
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(values, "large.safetensors")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
@pytest.mark.parametrize("what", ["a state", "a state on a card", "a LoRA"])
def test_saving_takes_next_to_no_memory(root, tmp_path, what):
    """A copy of the state, which may have gigabytes, is what kills a run on a computer that has just enough."""
    command = [sys.executable, "-c", PEAK, str(root), str(tmp_path), str(SIZE), what]
    kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kib * 1024 <= 0.1 * SIZE


def some_tensors() -> dict[str, torch.Tensor]:
    """One of each type that can be written, of odd shapes, with names that have to be escaped."""
    made = {f"{place} ä\\\"\n\u007f": torch.arange(-3, 9).reshape(3, 4).to(dtype) for place, dtype in enumerate(TYPES)
            if not str(dtype).startswith("torch.float8")}  # fmt: skip
    made |= {str(dtype): torch.arange(5.0).to(dtype) for dtype in TYPES if "e5m2" in str(dtype) or "e4m3" in str(dtype)}
    return {**made, "number": torch.tensor(2.5), "none": torch.zeros(0, 3), "turned": torch.arange(6.0).reshape(2, 3).T}


@pytest.mark.parametrize("piece", [8, tensor_file.PIECE])
@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("metadata", [None, {"ä \x01": "\t/\u2028"}])
def test_a_file_has_the_bytes_of_the_librarys(tmp_path, monkeypatch, piece, metadata, here):
    monkeypatch.setattr(tensor_file, "is_here", lambda _tensor: here)
    monkeypatch.setattr(tensor_file, "PIECE", piece)
    tensors, path = some_tensors(), tmp_path / "a.safetensors"
    save_tensors(path, tensors, metadata)
    assert path.read_bytes() == save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    assert holds(path, tensors, metadata)
    assert not holds(path, {**tensors, "number": torch.tensor(2.0)}, metadata)
    path.write_bytes(path.read_bytes() + b"x")
    assert not holds(path, tensors, metadata)


def test_tensors_that_share_memory_are_each_written(tmp_path):
    row = torch.arange(4.0)
    save_tensors(tmp_path / "a.safetensors", {"a": row, "b": row[1:3]})
    assert load_file(tmp_path / "a.safetensors")["b"].tolist() == [1.0, 2.0]


def test_a_checksum_does_not_depend_on_the_size_of_pieces(monkeypatch):
    before = checksum(some_tensors())
    monkeypatch.setattr(tensor_file, "PIECE", 8)
    assert checksum(some_tensors()) == before


def test_a_type_that_the_format_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^w is of torch\.complex128, which .* cannot hold; convert it"):
        save_tensors(tmp_path / "a.safetensors", {"w": torch.zeros(1, dtype=torch.complex128)})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_is_full_half_way_is_an_error_of_the_system_and_keeps_the_old_file(tmp_path):
    import resource

    path = tmp_path / "state.safetensors"
    save_tensors(path, {"a": torch.zeros(3)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))  # no file may grow beyond it
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_tensors(path, {"a": torch.ones(2**20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert torch.equal(load_file(path)["a"], torch.zeros(3))
    assert [found.name for found in tmp_path.iterdir()] == ["state.safetensors"]
