"""Clips that are in a folder twice, found by their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .decode import folder_images

CHUNK = 1 << 20  # bytes


def earlier_copies(clips: Iterable[Path]) -> dict[Path, Path]:
    """For each clip that has the bytes of an earlier one: that one. Files of unlike sizes are not read."""
    by_size: dict[tuple[int, ...], list[Path]] = {}
    for clip in clips:
        by_size.setdefault(tuple(file.stat().st_size for file in _files(clip)), []).append(clip)
    copies = {}
    for alike in by_size.values():
        first: dict[str, Path] = {}
        for clip in alike if len(alike) > 1 else ():
            original = first.setdefault(_content(clip), clip)
            if original is not clip:
                copies[clip] = original
    return copies


def _files(clip: Path) -> list[Path]:
    return folder_images(clip) if clip.is_dir() else [clip]


def _content(clip: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(clip):
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
