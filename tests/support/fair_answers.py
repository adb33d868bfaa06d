"""What counts as a fair answer of a node: a result of numbers, or one sentence of ours that says what to do."""

from __future__ import annotations

import dis
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).parents[2]
OWN = tuple(str(ROOT / folder) for folder in ("nodes", "training", "methods", "toy"))
REMEDIES = ("; ", ", so ")  # what sets off what to do from what came and what is needed
DEPTH = 8  # levels of a result that are looked into


def complaint(error: BaseException) -> str:
    """What is wrong with an error as an answer to a user; empty for a fair one."""
    text, place = str(error), _origin(error)
    if not isinstance(error, (ValueError, RuntimeError)) or not _raised_by_us(place):
        return f"a bare {type(error).__name__} of {_shown(place)}: {text[:300]}"
    if "\n" in text or not 20 <= len(text) <= 1500:
        return f"no sentence: {text[:300]!r}"
    if not any(mark in text for mark in REMEDIES):
        return f"nothing says what to do: {text[:300]!r}"
    return ""


def _origin(error: BaseException) -> TracebackType | None:
    """Where an error came up: the end of its traceback."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    return place


def _raised_by_us(place: TracebackType | None) -> bool:
    """Whether a ``raise`` of the pack was executed there.

    What C code raises has no frame of its own, and so ends in ours too: `int("x")`, torch's "mat1 and mat2 shapes".
    """
    if place is None or not place.tb_frame.f_code.co_filename.startswith(OWN):
        return False
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _shown(place: TracebackType | None) -> str:
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "nowhere"


def damage(result: Any) -> str:
    """Where a node's result holds NaN or Inf; empty where it holds none."""
    values = getattr(result, "result", result)
    found = (where for index, value in enumerate(values or ()) for where in _damaged(value, f"output {index}", 0))
    return next(found, "")


def _damaged(value: Any, where: str, depth: int) -> Iterator[str]:
    """The places below a value that hold what is no finite number."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield where
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield where
    elif depth < DEPTH:
        for name, part in _parts(value):
            yield from _damaged(part, f"{where}.{name}", depth + 1)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a value is made of, by name: containers, what the pack hands on, and a video's pictures."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)
    elif isinstance(value, nn.Module):
        yield from value.state_dict().items()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
