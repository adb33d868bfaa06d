"""What is known of users' files from earlier sessions: while they stay as they are, they are not read for it again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from .noted import Noted, stamps

FILE = "files.json"
SETTLED = 2_000_000_000  # nanoseconds: what was just written may be written again without another time of change
_noted: ContextVar[Noted | None] = ContextVar("noted", default=None)
Found = TypeVar("Found")


@contextlib.contextmanager
def files_known(folder: Path | None) -> Iterator[None]:
    """Know files by what ``FILE`` in a folder says while the body goes on, and leave there what is new; None: forget.

    A file counts as another one as soon as its size or a time that the system keeps of it has changed.
    """
    noted = None if folder is None else Noted(folder / FILE)
    token = _noted.set(noted)
    try:
        yield
    finally:
        _noted.reset(token)
        if noted is not None:
            noted.save()


def remembered(
    what: str,
    files: Sequence[Path],
    find: Callable[[], Found],
    plain: Callable[[Found], Any],
    back: Callable[[Any], Found],
) -> Found:
    """What ``find`` says of files, or has said of them within ``files_known``, in whatever session.

    Args:
        what: Text that changes whenever the same files would give something else.
        files: The files, in order. Their paths are kept as a digest.
        find: Reads them; what it raises is not remembered.
        plain: The value as JSON holds it.
        back: The value from that. What it cannot read is looked for again.
    """
    noted = _noted.get()
    try:
        stats = [] if noted is None else [file.stat() for file in files]
    except OSError:  # ``find`` says it better
        stats = []
    if noted is None or not stats:
        return find()
    name, seen = _name(what, files), _all_stamps(stats)
    with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
        if (known := noted.find(name, seen)) is not None:
            return back(known)
    found = find()
    if time.time_ns() - max(stat.st_mtime_ns for stat in stats) > SETTLED:
        noted.note(name, seen, plain(found))
    return found


def _name(what: str, files: Sequence[Path]) -> str:
    paths = json.dumps([what, *(file.absolute().as_posix() for file in files)])  # ASCII, whatever is in a name
    return hashlib.sha256(paths.encode()).hexdigest()


def _all_stamps(stats: Sequence[os.stat_result]) -> list[Any]:
    """Those of one file as they are, of many pictures in short."""
    if len(stats) == 1:
        return stamps(stats[0])
    return [hashlib.sha256(json.dumps([stamps(stat) for stat in stats]).encode()).hexdigest()]
