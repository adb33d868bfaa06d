"""Safetensors files written piece by piece, so that no second copy of what is saved is ever in memory.

The library's writers want the bytes of all tensors at once, in the computer's memory: of tensors on a card that is a
copy of everything, next to weights that may fill this memory already.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .atomic import whole_file

PIECE = 2**20  # bytes that are read, written and copied from a card at once
ALIGNMENT = 8  # bytes; the head is filled up with spaces to a multiple of it
# Types by their names in the format, in the library's order: wide numbers come first in a file.
NAMES = {
    "uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64", "float32": "F32", "uint32": "U32",
    "int32": "I32", "bfloat16": "BF16", "float16": "F16", "uint16": "U16", "int16": "I16", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
TYPES: dict[torch.dtype, str] = {getattr(torch, name): short for name, short in NAMES.items() if hasattr(torch, name)}
ORDER = {dtype: place for place, dtype in enumerate(TYPES)}

Texts = Mapping[str, str]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Texts | None = None, new: bool = False) -> None:
    """Write a safetensors file whole or not at all; of tensors on a device one piece at a time is copied.

    The bytes are those of ``safetensors.torch.save_file``, which has several texts of metadata in any order; here they
    have their own. A ``new`` file replaces no other.

    Raises:
        ValueError: the format has no name for a tensor's type.
        FileExistsError: somebody has the name of a new file; nothing is overwritten.
        OSError: the file cannot be written.
    """
    with whole_file(path, new) as temporary, temporary.open("wb") as file:
        for piece in file_pieces(tensors, metadata):
            file.write(piece)


def holds(path: Path, tensors: Mapping[str, Tensor], metadata: Texts | None = None) -> bool:
    """Whether a file is, byte for byte, what ``save_tensors`` writes; it is read piece by piece.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return all(file.read(len(piece)) == bytes(piece) for piece in file_pieces(tensors, metadata)) and not file.read(
            1
        )


def file_pieces(tensors: Mapping[str, Tensor], metadata: Texts | None = None) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file: the length of the head, the head, and the tensors one after the other.

    Raises:
        ValueError: the format has no name for a tensor's type.
    """
    if unknown := next((name for name, tensor in tensors.items() if tensor.dtype not in TYPES), None):
        raise ValueError(f"{unknown} is of {tensors[unknown].dtype}, which a safetensors file cannot hold; convert it")
    names = sorted(tensors, key=lambda name: (ORDER[tensors[name].dtype], name.encode()))
    head: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name in names:
        tensor = tensors[name]
        end = begin + math.prod(tensor.shape) * tensor.element_size()
        head[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return chain([len(text).to_bytes(8, "little"), text], *(pieces(tensors[name]) for name in names))


def pieces(tensor: Tensor) -> Iterator[memoryview]:
    """A tensor's bytes, a few at a time in the computer's memory; each is gone when the next one is asked for."""
    flat = tensor.detach().contiguous().reshape(-1)
    count = PIECE // flat.element_size()
    # One place for all copies: new ones would leave the memory full of holes.
    place = None if is_here(flat) else torch.empty(min(count, len(flat)), dtype=flat.dtype)
    for start in range(0, len(flat), count):
        part = flat[start : start + count]
        part = part if place is None else place[: len(part)].copy_(part)
        yield part.view(torch.uint8).numpy().data


def is_here(tensor: Tensor) -> bool:
    """Whether a tensor lies in the computer's memory and need not be copied."""
    return tensor.device.type == "cpu"


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        for piece in pieces(tensor):
            digest.update(piece)
    return digest.hexdigest()
