"""The dataset check as a table: a row a clip, with every finding of it and small pictures of what goes in and out."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.atomic import write_atomically
from .check import ClipCheck, FileCheck
from .clips import Clip, FileClip
from .dataset import Dataset, Sample
from .media.decode import read_frames

HEIGHT = 64  # pixels of a small picture
LONGEST_CAPTION = 400  # characters that are shown
MOST_KEPT = 20_000  # pictures of about 3 KB
Picture = Callable[[Path], dict[str, str]]  # how the page asks for a file that was written


def report_table(dataset: Dataset, folder: Path, address: Picture, kept: Path | None = None) -> dict[str, Any]:
    """Rows of all clips that were found, those that are used first, as plain values.

    Each has ``name``, ``caption``, ``used``, ``facts`` (size, length, conditions), ``target`` and ``condition`` (small
    pictures of their first frames, written into ``folder`` and named by ``address``; None where there is none) and
    ``reasons``, ``warnings`` and ``notes``: why it is left out, what to look at, and what is done to it. What is in
    ``folder`` may be gone at any time; pictures in ``kept``, where one is given, need not be made again: of these the
    newest ``MOST_KEPT`` stay.
    """
    samples = {sample.name: sample for sample in dataset.samples}
    ordered = sorted(dataset.checks, key=lambda check: not check.used)

    def small(clip: Clip) -> dict[str, str]:
        return address(_small(clip, folder, kept))

    rows = [_row(check, samples.get(check.name), small) for check in ordered]
    if kept is not None:
        _forget_oldest(kept, MOST_KEPT)
    return {"rows": rows, "used": len(samples), "found": len(rows), "advice": list(dataset.advice)}


def _row(check: ClipCheck, sample: Sample | None, small: Callable[[Clip], dict[str, str]]) -> dict[str, Any]:
    files = [file for file in (check.target, *check.others) if file is not None]
    clips = (sample.target, next(iter(sample.conditions), None)) if sample else (None, None)
    target, condition = (None if clip is None else small(clip) for clip in clips)
    return {
        "name": check.name,
        "caption": "" if sample is None else sample.caption[:LONGEST_CAPTION],
        "used": check.used,
        "facts": _facts(check),
        "target": target,
        "condition": condition,
        "reasons": list(check.reasons),
        "warnings": list(check.warnings),
        "notes": [note for file in files for note in _notes(file, len(files) > 1)],
    }


def _facts(check: ClipCheck) -> str:
    if check.bucket is None:
        return ""
    counts = [f"{check.conditions} condition{'s' * (check.conditions != 1)}" if check.conditions else "no condition"]
    return ", ".join([str(check.bucket), *counts, *(["reference"] if check.reference else [])])


def _notes(file: FileCheck, named: bool) -> Sequence[str]:
    return [f"{file.file}: {note}" if named else note for note in (*file.timing(), *file.picture())]


def _small(clip: Clip, folder: Path, kept: Path | None) -> Path:
    """A small picture of a clip's first frame, made once for the same content."""
    content = clip.content() if isinstance(clip, FileClip) else clip.key()
    name = hashlib.sha256(content.encode()).hexdigest()[:32]
    path, source = folder / f"{name}.jpg", kept and kept / name  # without an ending: nobody's gallery shows it
    if path.exists() or (source and _brought(source, path)):
        return path
    picture = _jpeg(_first_frame(clip))
    write_atomically(path, picture)
    if source:
        with contextlib.suppress(OSError):
            write_atomically(source, picture)
    return path


def _brought(source: Path, path: Path) -> bool:
    """Whether a picture that was kept lies where it is shown from now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a disk without links, or another one
            os.link(source, path)
            return True
        shutil.copyfile(source, path)
    except OSError:
        return False
    return True


def _forget_oldest(kept: Path, most: int) -> None:
    """Remove those pictures of a folder that were made before the ``most`` newest."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):  # of a folder that is not there, or that another process clears
        found = [(entry.stat().st_mtime, Path(entry.path)) for entry in os.scandir(kept) if entry.is_file()]
    for _, path in sorted(found, reverse=True)[most:]:
        with contextlib.suppress(OSError):
            path.unlink()


def _first_frame(clip: Clip) -> np.ndarray:
    if isinstance(clip, FileClip):
        return next(read_frames(clip.path, clip.info, clip.fps, 1, clip.options, span=clip.span))
    return (clip.frames()[0] * 255).round().byte().numpy()


def _jpeg(picture: np.ndarray) -> bytes:
    from PIL import Image

    image, out = Image.fromarray(picture), io.BytesIO()
    image.thumbnail((4 * HEIGHT, HEIGHT))
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
