"""A lock on a run's folder between processes, which the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class RunInUseError(ValueError):
    """Another process trains into the folder."""


@contextlib.contextmanager
def locked_run(folder: Path) -> Iterator[None]:
    """Keep other processes from training into the folder of a run while the body goes on.

    The lock is filelock's, which torch brings along: it belongs to an open file, so there is no stale one to clean
    away. The file lies beside the folder, because Windows renames no folder with an open file in it, and is removed at
    the end. Where it cannot be made, the run goes on without one, with a warning in the log.

    Raises:
        RunInUseError: another process holds it.
    """
    lock = _acquired(folder)
    try:
        yield
    finally:
        if lock is not None:
            _release(lock, lock_path(folder))


def lock_path(folder: Path) -> Path:
    """The lock file of a run's folder; no run's name begins with a dot."""
    return folder.with_name(f".{folder.name}.lock")


def _acquired(folder: Path) -> Any:
    """The lock; None where this disk has no locks or cannot be written."""
    from filelock import FileLock, Timeout

    path = lock_path(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RunInUseError(
            f"the run {folder.name} is being trained by another ComfyUI; wait for its end, or give another run_name"
        ) from error
    except (OSError, NotImplementedError) as error:
        log.warning(
            "the run %s cannot be locked (%s); see to it that no other ComfyUI trains a run of this name",
            folder.name, getattr(error, "strerror", None) or error,
        )  # fmt: skip
        return None
    return lock


def _release(lock: Any, path: Path) -> None:
    """Remove the file and free the lock: before closing, or a waiting process could lock a file that is then removed.

    Windows removes no open file, so there it is the other way round.
    """
    if sys.platform != "win32":
        _remove(path)
    lock.release(force=True)
    if sys.platform == "win32":
        _remove(path)


def _remove(path: Path) -> None:
    """Remove the file; where it has to stay, opened by another process or on a disk that fails, it keeps nobody out."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
