"""Digests of what files hold, so that a copied, renamed or touched file is the same clip."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from ..storage.known_files import remembered
from .media.kinds import folder_images

CHUNK = 1 << 20  # bytes


def clip_files(path: Path) -> list[Path]:
    """A file itself, or the pictures of a folder in the order they are played in."""
    return folder_images(path) if path.is_dir() else [path]


def clip_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or over those of a folder's pictures in order, without their names.

    A file is read once a session as long as its size and time of change stay; within ``files_known`` once at all.

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
    return remembered("digest", [path], lambda: _read(path), str, _text)


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError("a digest is a text")
    return found


def _read(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
