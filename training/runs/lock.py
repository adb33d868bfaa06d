"""A lock on a run's folder between processes, which the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


class RunInUseError(ValueError):
    """Another process trains into the folder."""


@contextlib.contextmanager
def locked_run(folder: Path) -> Iterator[None]:
    """Keep other processes from training into the folder of a run while the body goes on.

    The lock belongs to an open file, so there is no stale one to clean away: whatever ends the process frees it.
    The file lies beside the folder, because Windows renames no folder with an open file in it, and is removed at
    the end. Where it cannot be made the run goes on without, which is said.

    Raises:
        RunInUseError: another process holds it.
    """
    handle = _take(folder)
    try:
        yield
    finally:
        if handle is not None:
            _release(handle, lock_path(folder))


def lock_path(folder: Path) -> Path:
    """The lock file of a run's folder; no run's name begins with a dot."""
    return folder.with_name(f".{folder.name}.lock")


def _take(folder: Path) -> int | None:
    """The locked file's handle; None where this disk has no locks or cannot be written."""
    path = lock_path(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                taken = _try_lock(handle)
            except BaseException:
                os.close(handle)
                raise
            if taken and _is_at(handle, path):
                return handle
            os.close(handle)
            if not taken:
                raise RunInUseError(
                    f"the run {folder.name} is being trained by another ComfyUI; wait for its end, "
                    "or give another run_name"
                )
    except OSError as error:
        log.warning(
            "the run %s cannot be locked (%s); see to it that no other ComfyUI trains a run of this name",
            folder.name, error.strerror or error,
        )  # fmt: skip
        return None


def _try_lock(handle: int) -> bool:
    """Take the lock on an open file without waiting; False where another process holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether the file is still the one at its path: its last holder may just have removed it."""
    if sys.platform == "win32":
        return True  # an open file cannot be removed there
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _release(handle: int, path: Path) -> None:
    """Remove the file and free the lock: before closing, or who waits could lock a file that is then removed."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            path.unlink()
    os.close(handle)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):  # another has opened it meanwhile
            path.unlink()
