"""Nested values with tensors among them, in one safetensors file: tensors as tensors, the rest as JSON beside them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .atomic import sync_folder, write_atomically
from .json_text import parse_json
from .opened import opened
from .tensor_file import checksum, save_tensors

FORMAT = "fewshot_video.state 1"
VALUES = "values"  # the JSON, as a tensor of bytes: the header of a safetensors file may have 100 MB at most
PLAIN = (str, int, float, bool, type(None))


def write_state(path: Path, values: Any) -> Path:
    """Write values whole or not at all; they are on the disk when this returns, and were not copied for it.

    Tensors on a card are read twice, piece by piece: for the checksum, which stands before them, and to be written.

    Raises:
        ValueError: there is a value that is neither plain nor a tensor.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_taken_apart(values, "", tensors))
    metadata = {"format": FORMAT, "checksum": _checksum(text, tensors)}
    save_tensors(path, {**tensors, f"({VALUES})": _as_bytes(text)}, metadata)
    sync_folder(path.parent)
    return path


def packed(values: Any) -> bytes:
    """The same values as bytes for another process.

    Raises:
        ValueError: there is a value that is neither plain nor a tensor.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_taken_apart(values, "", tensors))
    return save({name: tensor.contiguous() for name, tensor in tensors.items()} | {f"({VALUES})": _as_bytes(text)})


def unpacked(data: bytes) -> Any:
    """Inverse of ``packed``; tensors are on the CPU."""
    tensors = load(data)
    text = tensors.pop(f"({VALUES})").numpy().tobytes().decode()
    return _put_together(parse_json(text), tensors)


def _as_bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def read_state(path: Path) -> Any:
    """What was written, with all tensors on the CPU.

    Raises:
        ValueError: the file is damaged, or no such file.
        RuntimeError: the file is there and cannot be read now; what it holds may be whole.
    """
    try:
        with opened(path) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        text = tensors.pop(f"({VALUES})").numpy().tobytes().decode()
    except (SafetensorError, FileNotFoundError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read ({error})") from error
    except OSError as error:
        reason = error.strerror or error
        raise RuntimeError(f"{path.name} cannot be read now ({reason}); close what holds it and try again") from error
    if metadata.get("format") != FORMAT or metadata.get("checksum") != _checksum(text, tensors):
        raise ValueError(f"{path.name} is not what was written")
    return _put_together(parse_json(text), tensors)


def write_json(path: Path, values: Any) -> Path:
    """Write plain values whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(path, json.dumps(values, indent=1).encode())
    sync_folder(path.parent)
    return path


def _taken_apart(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a value; its tensors go into ``tensors`` under names that tell where they were."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "map": [[key, _taken_apart(entry, f"{name}.{key}".strip("."), tensors)] for key, entry in value.items()]
        }
    if isinstance(value, (list, tuple)):
        parts = [_taken_apart(entry, f"{name}.{i}".strip("."), tensors) for i, entry in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    if type(value) in PLAIN:
        return value
    raise ValueError(f"{name} is a {type(value).__name__}, which a run's state cannot hold; choose another optimiser")


def _put_together(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_put_together(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(_put_together(value["tuple"], tensors))
    return {key: _put_together(entry, tensors) for key, entry in value["map"]}


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(f"{text}\n{checksum(tensors)}".encode()).hexdigest()
