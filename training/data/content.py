"""Digests of what files hold, so that a copied, renamed or touched file is the same clip."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from ..storage.noted import Noted
from .media.kinds import folder_images

CHUNK = 1 << 20  # bytes
SETTLED = 2_000_000_000  # nanoseconds: what was just written may be written again without another time of change
FILE = "digests.json"
_kept: ContextVar[Noted | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def digests_kept(folder: Path | None) -> Iterator[None]:
    """Find digests of files in a folder while the body goes on, and leave new ones there; None: for this session only.

    A file is read again when its size or a time that the system keeps of it has changed.
    """
    noted = None if folder is None else Noted(folder / FILE)
    token = _kept.set(noted)
    try:
        yield
    finally:
        _kept.reset(token)
        if noted is not None:
            noted.save()


def clip_files(path: Path) -> list[Path]:
    """A file itself, or the pictures of a folder in the order they are played in."""
    return folder_images(path) if path.is_dir() else [path]


def clip_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or over those of a folder's pictures in order, without their names.

    A file is read once a session as long as its size and time of change stay; within ``digests_kept`` once at all.

    Raises:
        ValueError: A file is gone or cannot be read.
    """
    try:
        digests = [_digest(file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in clip_files(path)]
    except OSError as error:
        raise ValueError(f"{path.name} is gone; load the folder again") from error
    return digests[0] if not path.is_dir() else hashlib.sha256(" ".join(digests).encode()).hexdigest()


@lru_cache(maxsize=1 << 16)
def _digest(path: Path, _size: int, _changed: int) -> str:
    noted = _kept.get()
    if noted is None:
        return _read(path)
    name = hashlib.sha256(path.absolute().as_posix().encode("utf-8", "surrogatepass")).hexdigest()
    stat = path.stat()
    found = noted.find(name, stat)
    if isinstance(found, str):
        return found
    found = _read(path)
    if time.time_ns() - stat.st_mtime_ns > SETTLED:
        noted.note(name, stat, found)
    return found


def _read(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
