"""LoRA files: safetensors with metadata, written whole or not at all, and read back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..storage.numbers import require_finite
from ..storage.opened import opened
from ..storage.tensor_file import holds, save_tensors

SUFFIX = ".safetensors"


class LoraModel(dict[str, Tensor]):
    """The host's LORA_MODEL (tensors by key) that also knows where it comes from."""

    def __init__(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(tensors)
        self.metadata: dict[str, str] = dict(metadata or {})


def save_lora(lora: LoraModel, path: Path) -> Path:
    """Write a LoRA atomically, read it back and compare, all piece by piece: it is not copied.

    Raises:
        ValueError: there is nothing to save, or its values are no numbers.
        FileExistsError: the file exists; nothing is overwritten.
        RuntimeError: what was read back differs from what was written.
    """
    if not lora:
        raise ValueError("the LoRA holds no tensors; train it before it is saved")
    if path.exists():
        raise FileExistsError(f"{path.name} exists already; choose another name")
    require_finite(lora, f"what is to be saved as {path.name}", "train it again with a lower learning rate")
    save_tensors(path, lora, lora.metadata, new=True)
    if not holds(path, lora, lora.metadata) or read_metadata(path) != lora.metadata:
        path.unlink()
        raise RuntimeError(f"{path.name} does not hold what was written to it; check the disk and save again")
    return path


def load_lora(path: Path) -> LoraModel:
    """Read a LoRA with its metadata.

    Raises:
        ValueError: the file is not a safetensors file, or its values are no numbers.
    """
    with _readable(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        lora = LoraModel(tensors, file.metadata())
    require_finite(lora, path.name, "it is damaged, train or copy it again")
    return lora


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file without reading its tensors.

    Raises:
        ValueError: the file is not a safetensors file.
    """
    with _readable(path) as file:
        return dict(file.metadata() or {})


class UnreadableError(OSError, ValueError):
    """A file that is there and cannot be read now; what it holds may be whole."""


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[Any]:
    """The open file; what is wrong with it, and the system's errors while it is read, as a sentence."""
    try:
        with opened(path) as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a readable safetensors file ({error}); train or copy it again") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise UnreadableError(
            f"{path.name} cannot be read now ({reason}); close what holds it and try again"
        ) from error


def tensor_names(path: Path) -> list[str]:
    """Names of a safetensors file's tensors, without reading them; none where it cannot be read."""
    try:
        with opened(path) as file:
            return list(file.keys())
    except SafetensorError:
        return []


def same_lora(first: LoraModel, second: LoraModel) -> bool:
    """Whether keys, dtypes, values and metadata are equal, bit for bit."""
    return (
        first.keys() == second.keys()
        and first.metadata == second.metadata
        and all(
            first[key].dtype == second[key].dtype and torch.equal(_bits(first[key]), _bits(second[key]))
            for key in first
        )
    )


def save_numbered(lora: LoraModel, folder: Path, name: str) -> Path:
    """``save_lora`` under the next free name of a folder, also while other processes save under that name.

    Raises:
        ValueError: as ``save_lora``.
        OSError: it cannot be written.
        RuntimeError: as ``save_lora``.
    """
    while True:
        with contextlib.suppress(FileExistsError):  # another process was faster
            return save_lora(lora, unique_path(folder, name))


def unique_path(folder: Path, name: str) -> Path:
    """The next free ``name_00001_.safetensors`` of a folder; a name whose history is there is taken."""
    pattern = re.compile(rf"{re.escape(name)}_(\d+)_", re.IGNORECASE)  # Windows and macOS know no capitals
    taken = [int(match[1]) for file in _files(folder) if (match := pattern.fullmatch(file.stem))]
    return folder / f"{name}_{max(taken, default=0) + 1:05}_{SUFFIX}"


def _bits(tensor: Tensor) -> Tensor:
    """Raw bytes, so that a NaN equals itself."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _files(folder: Path) -> Iterable[Path]:
    return (*folder.glob(f"*{SUFFIX}"), *folder.glob("*.json")) if folder.is_dir() else ()
