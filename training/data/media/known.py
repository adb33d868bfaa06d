"""What files of clips hold and what decoding them showed, found again in later sessions while they stay as they are."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ...storage.known_files import remembered
from .decode import probe, read_frames, still_frames
from .findings import movement
from .kinds import folder_images
from .notes import Notes
from .options import ReadOptions, decoder_of
from .span import Span
from .timing import ClipInfo


@dataclass(frozen=True)
class FileNotes:
    """What was noticed in a file, in words."""

    said: tuple[str, ...] = ()  # what is done to it
    warned: tuple[str, ...] = ()  # what to look at
    moves: tuple[str, ...] = ()  # what is odd about its movement, where it is a target or reference


def known_info(path: Path, options: ReadOptions) -> ClipInfo:
    """As ``probe``, without opening a file that is known."""
    return remembered(f"info {_reader(options)}", _files(path), lambda: probe(path, options), asdict, _info)


def known_still(path: Path, info: ClipInfo, options: ReadOptions) -> int:
    """As ``still_frames``, without decoding a file that is known."""
    return remembered(
        f"still {_reader(options)}", _files(path), lambda: still_frames(path, info, options), int, _number
    )


@lru_cache(maxsize=1 << 16)  # more than a set has: with fewer places a larger set would find none of its clips
def known_notes(
    path: Path, info: ClipInfo, fps: float, count: int, options: ReadOptions, span: Span, _stamps: tuple
) -> FileNotes:
    """What decoding ``count`` frames of a span shows; a known file is not decoded.

    Raises:
        ValueError: a frame cannot be decoded, or there are fewer than the file promises.
    """
    what = f"notes {count} frames {span.key()} {fps!r} fps {_reader(options)} {info!r}"
    return remembered(what, _files(path), lambda: _decoded(path, info, fps, count, options, span), asdict, _notes)


def _decoded(path: Path, info: ClipInfo, fps: float, count: int, options: ReadOptions, span: Span) -> FileNotes:
    notes = Notes([*info.notes], [*info.warnings])
    seen, decoded = movement(read_frames(path, info, fps, count, options, notes, span))
    if decoded < count:
        raise ValueError(f"{path.name} decodes only to {decoded} of {count} frames; re-encode or remove it")
    return FileNotes(tuple(notes.said), tuple(notes.warned), tuple(seen.warnings()))


def _files(path: Path) -> list[Path]:
    return folder_images(path) if path.is_dir() else [path]


def _reader(options: ReadOptions) -> str:
    """Text that changes with what is chosen, the libraries that decode, and the code that looks."""
    return f"{options.key()} {decoder_of(True)} {decoder_of(False)} {_code()}"


@cache
def _code() -> str:
    """Digest of this folder's source: what another version of it found or said may be wrong."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _info(found: Any) -> ClipInfo:
    return ClipInfo(**{**found, "notes": tuple(found["notes"]), "warnings": tuple(found["warnings"])})


def _notes(found: Any) -> FileNotes:
    return FileNotes(**{name: tuple(texts) for name, texts in found.items()})


def _number(found: Any) -> int:
    return int(found)
