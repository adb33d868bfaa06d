"""Data sets that list their clips in a file: TIC-FT's, and those of diffusers, finetrainers and datasets.

``metadata.jsonl`` or ``metadata.csv``: a row each, with the clip in ``file_name``, ``video`` or ``media_path`` and what
it shows in ``text``, ``caption`` or ``prompt``. ``prompt.txt`` (or ``prompts.txt``) and ``videos.txt``: a line each, as
the code of TIC-FT and of CogVideoX reads them.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..storage.json_text import parse_json

CLIP_COLUMNS = ("file_name", "video", "video_path", "media_path", "path")
CAPTION_COLUMNS = ("text", "caption", "prompt", "video_caption")
CONDITION_COLUMNS = ("control_path", "condition", "condition_path", "control_image", "image")
ROWS = ("metadata.jsonl", "metadata.csv")
PROMPTS, VIDEOS = ("prompt.txt", "prompts.txt"), "videos.txt"
LISTS = (*ROWS, *PROMPTS, VIDEOS)


@dataclass
class Listing:
    """What a list says, and what of it does not fit."""

    file: str  # the list's name
    rows: list[Row] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # row and why it cannot be used


@dataclass(frozen=True)
class Row:
    """One clip of a list."""

    clip: Path
    caption: str
    condition: Path | None = None


def read_listing(folder: Path) -> Listing | None:
    """The clips that a list in the folder names; None where it holds no list. Links are not followed.

    Raises:
        ValueError: The list cannot be read, or its parts do not belong together.
    """
    for name in ROWS:
        if (folder / name).is_file():
            return _listed(folder, name, _rows(folder / name))
    prompts = next((name for name in PROMPTS if (folder / name).is_file()), "")
    if not prompts or not (folder / VIDEOS).is_file():
        return None
    captions, clips = (_lines(folder / name) for name in (prompts, VIDEOS))
    if len(captions) != len(clips):
        raise ValueError(
            f"{prompts} has {len(captions)} lines and {VIDEOS} {len(clips)}; they must be as many, a line for each clip"
        )
    rows = [{"file_name": clip, "text": caption} for clip, caption in zip(clips, captions, strict=True)]
    return _listed(folder, VIDEOS, rows)


def _listed(folder: Path, name: str, rows: Iterable[dict[str, str]]) -> Listing:
    found = Listing(name)
    for number, row in enumerate(rows, 1):
        clip = next((row[column] for column in CLIP_COLUMNS if row.get(column)), "")
        caption = next((row[column] for column in CAPTION_COLUMNS if row.get(column)), "").strip()
        condition = next((row[column] for column in CONDITION_COLUMNS if row.get(column)), "")
        try:
            if not clip:
                raise ValueError(f"no clip in it; use one of the columns {', '.join(CLIP_COLUMNS)}")
            if not caption:
                raise ValueError(f"no caption in it; use one of the columns {', '.join(CAPTION_COLUMNS)}")
            beside = _inside(folder, condition) if condition else None
            found.rows.append(Row(_inside(folder, clip), caption, beside))
        except ValueError as error:
            found.refused[f"{name} row {number}"] = str(error)
    return found


def _inside(folder: Path, name: str) -> Path:
    """The file below the folder that a list names.

    Raises:
        ValueError: It is not there, or lies elsewhere.
    """
    path = Path(os.path.normpath(folder / PurePosixPath(name.replace("\\", "/"))))
    if not path.is_relative_to(folder):
        raise ValueError(f"{name} lies outside the folder; copy it there and name it by its place in it")
    if not path.exists():
        raise ValueError(f"{name} is not there; copy it into the folder or remove the row")
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    text = _text(path)
    if path.suffix == ".csv":
        return [{key or "": value or "" for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
            rows.append({str(key): value for key, value in row.items() if isinstance(value, str)})
        except (ValueError, AttributeError) as error:
            raise ValueError(f"line {number} of {path.name} is no JSON object; correct it") from error
    return rows


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is in another encoding than UTF-8; save it as UTF-8 text") from error
