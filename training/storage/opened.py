"""Safetensors files that somebody may remove or replace while they are opened."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file whose tensors are read in a with block.

    The library opens it twice by its name, first itself for the head and then with torch for the numbers. Of a file
    that another process takes away in between, torch says so with an error of its own.

    Raises:
        FileNotFoundError: there is no such file, or no longer.
        OSError: it cannot be opened, or was replaced meanwhile.
        SafetensorError: it is no safetensors file.
    """
    try:
        found = safe_open(path, framework="pt")
    except RuntimeError as error:
        if path.exists():
            raise OSError(errno.EIO, "it was replaced while it was opened", path.name) from error
        raise FileNotFoundError(errno.ENOENT, "it was removed while it was opened", path.name) from error
    with found as file:
        yield file
