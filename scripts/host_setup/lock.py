"""A lock between processes that the operating system drops when its owner dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from host_setup.pins import HostError, say


def _try_lock(handle: int) -> bool:
    """Take the lock on an open file without waiting; False when another process holds it."""
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


@contextlib.contextmanager
def locked(path: Path, timeout: float = 3600.0, poll: float = 0.5) -> Iterator[None]:
    """Hold the lock file ``path`` for the body.

    There is no stale lock to clean up: the lock belongs to the open file, and closing it, also by the
    death of the process, frees it. The empty file stays.

    Args:
        path: Lock file; its folder is created.
        timeout: Seconds to wait for another holder.
        poll: Seconds between two tries.

    Raises:
        HostError: Another process held the lock for the whole time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        started, told = time.monotonic(), False
        while not _try_lock(handle):
            if not told:
                say("another process is setting this host up; waiting for it")
                told = True
            if time.monotonic() - started > timeout:
                raise HostError(f"another process has held {path} for {timeout:.0f} s; end that process and try again")
            time.sleep(poll)
        yield
    finally:
        os.close(handle)
