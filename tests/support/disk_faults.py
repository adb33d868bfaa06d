"""A disk that fails at the n-th call of a kind below a folder, once, as a full or a torn one does."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

# The functions of the system by which files and folders come about; pathlib and everything else goes through these.
POINTS = {
    "open": (io, "open"), "os.open": (os, "open"), "replace": (os, "replace"), "rename": (os, "rename"),
    "link": (os, "link"), "fsync": (os, "fsync"), "mkdir": (os, "mkdir"), "unlink": (os, "unlink"),
}  # fmt: skip
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO)  # full, read-only, broken


class Disk:
    """Counts calls below a folder; the one with a number fails."""

    def __init__(self, folder: Path, point: str = "", number: int = 0, code: int = errno.ENOSPC) -> None:
        self.folder, self.point, self.number, self.code = str(folder), point, number, code
        self.calls = dict.fromkeys(POINTS, 0)
        self.failed = False

    def counting(self, point: str, function: Any) -> Any:
        """The function, counted."""

        def call(*args: Any, **options: Any) -> Any:
            if self._concerns(point, args, options):
                self.calls[point] += 1
                if point == self.point and self.calls[point] == self.number:
                    self.failed = True
                    raise OSError(self.code, os.strerror(self.code), str(args[0]))
            return function(*args, **options)

        return call

    def _concerns(self, point: str, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        if point == "fsync":
            return True
        if point == "open":  # reading creates nothing
            mode = args[1] if len(args) > 1 else options.get("mode", "r")
            if not set("wax+") & set(str(mode)):
                return False
        paths = (entry for entry in args[:2] if isinstance(entry, (str, os.PathLike)))
        return any(os.fspath(entry).startswith(self.folder) for entry in paths)


@contextlib.contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """The disk, while the body goes on."""
    with contextlib.ExitStack() as stack:
        for point, (module, name) in POINTS.items():
            counted = disk.counting(point, getattr(module, name))
            stack.enter_context(patch.object(module, name, counted))
            if point == "open":
                stack.enter_context(patch.object(builtins, name, counted))
        yield disk
