"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from .renaming import rename


@contextlib.contextmanager
def whole_file(path: Path, new: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which becomes ``path`` once the body has ended; after an error it is removed.

    Missing folders are made, and the bytes are on the disk before the file has its name. A ``new`` one replaces no
    other: of several processes one gets the name.

    Raises:
        FileExistsError: somebody has the name of a new file; nothing is overwritten.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if new:
            _claim(temporary, path)
        else:
            rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes so that a reader sees the old file or the whole new one.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_new(path: Path, data: bytes) -> None:
    """As ``write_atomically``, for a name that nobody has.

    Raises:
        FileExistsError: somebody has it; nothing is overwritten.
        OSError: the file cannot be written.
    """
    with whole_file(path, new=True) as temporary:
        temporary.write_bytes(data)


def _claim(temporary: Path, path: Path) -> None:
    """Give a whole file a free name, in one step of the system wherever there is such a step."""
    if sys.platform == "win32":
        temporary.rename(path)  # refuses a name that is taken, as it does nowhere else
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, exFAT for one
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    else:
        with contextlib.suppress(OSError):  # the file has its name, whatever becomes of the other one
            temporary.unlink()


def clear_temporary(folder: Path) -> None:
    """Remove what processes that were killed have left half-written in a folder.

    ``.tmp`` and some letters is what safetensors, which older versions wrote with, calls a file until it is whole.
    """
    for left in (*folder.glob("*.tmp"), *folder.glob(".tmp*")):
        with contextlib.suppress(OSError):  # nobody reads it; it may be gone the next time
            left.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether the name is that of a file that is not whole yet."""
    return path.suffix == ".tmp" or path.name.startswith(".tmp")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk too, where the system can do that."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
