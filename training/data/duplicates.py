"""Clips that are in a folder twice, found by their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .content import clip_digest, clip_files


def earlier_copies(clips: Iterable[Path]) -> dict[Path, Path]:
    """For each clip that has the bytes of an earlier one: that one. Files of unlike sizes are not read."""
    by_size: dict[tuple[int, ...], list[Path]] = {}
    for clip in clips:
        by_size.setdefault(tuple(file.stat().st_size for file in clip_files(clip)), []).append(clip)
    copies = {}
    for alike in by_size.values():
        first: dict[str, Path] = {}
        for clip in alike if len(alike) > 1 else ():
            original = first.setdefault(clip_digest(clip), clip)
            if original is not clip:
                copies[clip] = original
    return copies
