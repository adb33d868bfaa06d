"""JSON that others wrote, in files and in their metadata: whatever it holds, there is a value or a ``ValueError``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LONGEST = 32 * 2**20  # characters of a text; the workflow of a large graph has one million
DEPTH = 200  # of lists and objects in each other


def parse_json(text: str | bytes, finite: bool = False) -> Any:
    """The value of a JSON text; ``finite`` refuses the NaN and Infinity that Python writes and JSON does not know.

    Raises:
        ValueError: it is no JSON, too long, or nested too deep to be something that anybody wrote.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text)} characters of JSON are too many; {LONGEST} are read at most")
    try:
        value = json.loads(text, parse_constant=_refuse if finite else None)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    _check_depth(value)
    return value


def read_json(path: Path) -> Any:
    """The value of a JSON file; its size is looked at before it is read.

    Raises:
        ValueError: as ``parse_json``.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > LONGEST:
        raise ValueError(f"{path.name} has {size} bytes; {LONGEST} are read at most")
    return parse_json(path.read_text(encoding="utf-8"))


_TOO_DEEP = f"JSON of more than {DEPTH} levels is not read"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _check_depth(value: Any) -> None:
    """Refuse what functions that call themselves could not walk through."""
    level = [value]
    for _ in range(DEPTH):
        level = [part for found in level for part in _parts(found)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
