"""Data sets that list their clips in a file: TIC-FT's, and those of diffusers, finetrainers, datasets and musubi-tuner.

``metadata.jsonl`` or ``metadata.csv``: a row each, with the clip in ``file_name``, ``video`` or ``media_path`` and what
it shows in ``text``, ``caption`` or ``prompt``. ``prompt.txt`` (``prompts.txt``, ``caption.txt`` …) and ``videos.txt``:
a line each, as the code of TIC-FT and of CogVideoX reads them.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..storage.json_text import LONGEST, parse_json
from .media.span import WHOLE, Span

CLIP_COLUMNS = ("file_name", "video", "video_path", "media_path", "path")
CAPTION_COLUMNS = ("text", "caption", "prompt", "video_caption")
CONDITION_COLUMNS = ("control_path", "condition", "condition_path", "control_image", "image")
NUMBERED = re.compile(r"(control|condition)_path_(\d+)")  # several conditions of one clip, as musubi-tuner names them
ROWS = ("metadata.jsonl", "metadata.csv")
PROMPTS, VIDEOS = ("prompt.txt", "prompts.txt", "caption.txt", "captions.txt"), ("videos.txt", "video.txt")
LISTS = (*ROWS, *PROMPTS, *VIDEOS)
SURPLUS = "\0"  # the name of what a row has more of than its table has columns
ABSOLUTE = re.compile(r"^(/|[A-Za-z]:/)")


@dataclass
class Listing:
    """What a list says, and what of it does not fit."""

    file: str  # the list's name
    rows: list[Row] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # row and why it cannot be used
    notes: list[str] = field(default_factory=list)  # what of it is used in another way, or not
    moved: dict[Path, str] = field(default_factory=dict)  # files that are named as they lie on another machine

    def add(self, folder: Path, row: Mapping[str, str], number: int, leads: bool = False) -> None:
        """One row, or why it cannot be used."""
        try:
            self.rows.append(_row(lambda name: self.inside(folder, name), row, leads))
        except ValueError as error:
            self.refused[f"{self.file} row {number}"] = str(error)

    def inside(self, folder: Path, name: str) -> Path:
        """As the function, where two paths of another machine never mean one file.

        Raises:
            ValueError: They would, or as the function.
        """
        path = inside(folder, name)
        if ABSOLUTE.match(posix := name.replace("\\", "/")):
            if not self.moved:
                place = path.relative_to(folder).as_posix()
                self.notes.append(f"paths of another machine are read by their ends, as {name} by {place}")
            other = self.moved.setdefault(path, posix)
            if other != posix:
                raise ValueError(
                    f"{name} and {other} would both be {path.relative_to(folder).as_posix()}; name files by their "
                    "place in the folder"
                )
        return path


@dataclass(frozen=True)
class Row:
    """One clip of a list."""

    clip: Path
    caption: str
    conditions: tuple[Path, ...] = ()
    name: str = ""  # in reports; empty: the clip's place in the folder
    span: Span = WHOLE  # which frames of the clip are its target
    frames: int | None = None  # how many of them at most
    leads: bool = False  # a clip held still at its start begins with its condition, as TIC-FT's code reads such a list


def read_listing(folder: Path) -> Listing | None:
    """The clips that a list in the folder names; None where it holds no list. Links are not followed.

    Raises:
        ValueError: The list cannot be read, or its parts do not belong together.
    """
    for name in ROWS:
        if (folder / name).is_file():
            return listed_rows(folder, folder / name)
    prompts, videos = ([name for name in names if (folder / name).is_file()] for names in (PROMPTS, VIDEOS))
    if not prompts or not videos:
        return None
    if len(prompts) + len(videos) > 2:
        raise ValueError(
            f"the folder holds {', '.join((*prompts, *videos))}; keep one list of captions and one of clips"
        )
    captions, clips = (_lines(folder / name) for name in (prompts[0], videos[0]))
    if len(captions) != len(clips):
        raise ValueError(
            f"{prompts[0]} has {len(captions)} lines and {videos[0]} {len(clips)}; they must be as many, a line for "
            "each clip"
        )
    found = Listing(videos[0])
    for number, (clip, caption) in enumerate(zip(clips, captions, strict=True), 1):
        found.add(folder, {"file_name": clip, "text": caption}, number, leads=True)
    return found


def listed_rows(folder: Path, path: Path) -> Listing:
    """The clips of a list with a row for each.

    Raises:
        ValueError: It cannot be read.
    """
    found = Listing(path.name)
    for number, row in enumerate(_rows(path), 1):
        found.add(folder, row, number)
    return found


def _row(inside: Callable[[str], Path], row: Mapping[str, str], leads: bool) -> Row:
    if SURPLUS in row:
        raise ValueError("more columns than the first line names; put a caption with commas between quotes")
    clip = next((row[column] for column in CLIP_COLUMNS if row.get(column)), "")
    caption = next((row[column] for column in CAPTION_COLUMNS if row.get(column)), "").strip()
    if not clip:
        raise ValueError(f"no clip in it; use one of the columns {', '.join(CLIP_COLUMNS)}")
    if not caption:
        raise ValueError(f"no caption in it; use one of the columns {', '.join(CAPTION_COLUMNS)}")
    conditions = [row[column] for column in CONDITION_COLUMNS if row.get(column)][:1]
    numbered = sorted((int(match[2]), row[key]) for key in row if (match := NUMBERED.fullmatch(key)) and row[key])
    conditions += [path for _, path in numbered]
    return Row(inside(clip), caption, tuple(inside(name) for name in conditions), leads=leads)


def inside(folder: Path, name: str) -> Path:
    """The file below the folder that a list names; of a path that starts at the root the end that is there counts.

    Raises:
        ValueError: It is not there, or lies elsewhere.
    """
    posix = name.replace("\\", "/")
    if ABSOLUTE.match(posix):  # of another machine: the data set was copied here
        parts = [part for part in PurePosixPath(posix).parts[1:] if part not in ("..", ".")]
        ends = (folder.joinpath(*parts[i:]) for i in range(len(parts)))
        path = next((end for end in ends if end.exists()), None)
        if path is None:
            raise ValueError(
                f"{name} is not in the folder; copy it there, its name and the folders it lies in may stay"
            )
        return path
    path = Path(os.path.normpath(folder / PurePosixPath(posix)))
    if not path.is_relative_to(folder):
        raise ValueError(f"{name} lies outside the folder; copy it there and name it by its place in it")
    if not path.exists():
        raise ValueError(f"{name} is not there; copy it into the folder or remove the row")
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    text = read_text(path)
    if path.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text), restkey=SURPLUS, restval="", strict=True)
        try:
            return [{key or "": str(value or "") for key, value in row.items()} for row in reader]
        except csv.Error as error:
            raise ValueError(
                f"line {reader.line_num + 1} of {path.name} is no row of a table ({error}); close its quotes"
            ) from error
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # a caption may hold other ends of lines
        if not line.strip():
            continue
        try:
            row = parse_json(line)
            rows.append({str(key): value for key, value in row.items() if isinstance(value, str)})
        except (ValueError, AttributeError) as error:
            raise ValueError(f"line {number} of {path.name} is no JSON object; correct it") from error
    return rows


def _lines(path: Path) -> list[str]:
    """The lines of a text up to the last that holds something; an empty one keeps its place."""
    return [line.strip() for line in read_text(path).rstrip().split("\n")]


def read_text(path: Path) -> str:
    """A text of UTF-8.

    Raises:
        ValueError: It is in another encoding, or too long for a list.
    """
    if (size := path.stat().st_size) > LONGEST:
        raise ValueError(f"{path.name} has {size} bytes; {LONGEST} are read at most")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is in another encoding than UTF-8; save it as UTF-8 text") from error
