"""A disk that fails at the n-th call of a kind below a folder, once, as a full, a torn or an unreadable one does."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

# The functions by which files and folders come about and are read; pathlib and everything else goes through these, but
# for safetensors, which asks the system by itself when it reads.
POINTS = {
    "open": (io, "open"), "read": (io, "open"), "os.open": (os, "open"), "replace": (os, "replace"),
    "rename": (os, "rename"), "link": (os, "link"), "fsync": (os, "fsync"), "mkdir": (os, "mkdir"),
    "unlink": (os, "unlink"), "safe_open": (None, "safe_open"),
}  # fmt: skip
READING = ("read", "safe_open")
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO)  # full, read-only, broken
READ_ERRORS = (errno.EIO, errno.EACCES, errno.ESTALE)  # broken, held by somebody, a share that is gone


def errors_of(point: str) -> tuple[int, ...]:
    """What may go wrong there."""
    return READ_ERRORS if point in READING else ERRORS


class Disk:
    """Counts calls below a folder; the one with a number fails."""

    def __init__(self, folder: Path, point: str = "", number: int = 0, code: int = errno.ENOSPC) -> None:
        self.folder, self.point, self.number, self.code = str(folder), point, number, code
        self.calls = dict.fromkeys(POINTS, 0)
        self.failed = False

    def counting(self, name: str, function: Any) -> Any:
        """The function, counted."""

        def call(*args: Any, **options: Any) -> Any:
            point = "read" if name == "open" and not writes(args, options) else name
            if self._concerns(point, args):
                self.calls[point] += 1
                if point == self.point and self.calls[point] == self.number:
                    self.failed = True
                    raise OSError(self.code, os.strerror(self.code), str(args[0]))
            return function(*args, **options)

        return call

    def _concerns(self, point: str, args: tuple[Any, ...]) -> bool:
        if point == "fsync":
            return True
        paths = (entry for entry in args[:2] if isinstance(entry, (str, os.PathLike)))
        return any(os.fspath(entry).startswith(self.folder) for entry in paths)


def writes(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a call of ``open`` may create or change a file."""
    mode = args[1] if len(args) > 1 else options.get("mode", "r")
    return bool(set("wax+") & set(str(mode)))


def places(name: str) -> list[Any]:
    """The modules that know a function of safetensors by its name."""
    return [module for key, module in list(sys.modules.items())
            if key.partition(".")[0] in ("pack", "safetensors") and callable(vars(module).get(name))]  # fmt: skip


@contextlib.contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """The disk, while the body goes on."""
    with contextlib.ExitStack() as stack:
        for point, (module, name) in POINTS.items():
            if point == "read":  # counted with "open"
                continue
            modules = [module] if module else places(name)
            for place in [*modules, builtins] if point == "open" else modules:
                counted = disk.counting(point, getattr(place, name))
                stack.enter_context(patch.object(place, name, counted))
        yield disk
