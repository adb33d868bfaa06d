"""A lock between processes that the operating system drops when its owner dies."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from host_setup.pins import HostError, say


@contextlib.contextmanager
def locked(path: Path, timeout: float = 3600.0) -> Iterator[None]:
    """Hold the lock file ``path`` for the body.

    The file is an empty SQLite database with an exclusive transaction open: of the locks that work on every system,
    the one that a bare Python has, before anything is installed. The empty file stays.

    Args:
        path: Lock file; its folder is created.
        timeout: Seconds to wait for another holder.

    Raises:
        HostError: Another process held the lock for the whole time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as database:
        if not _begun(database):
            say("another process is setting this host up; waiting for it")
            database.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
            if not _begun(database):
                raise HostError(f"another process has held {path} for {timeout:.0f} s; end that process and try again")
        yield


def _begun(database: sqlite3.Connection) -> bool:
    """Whether the exclusive transaction could begin; closing the connection ends it."""
    try:
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return True
