"""The files of a dataset folder, sorted by the clip they belong to; nothing is opened but captions and headers.

``NAME.mp4`` (or another video, or an animated GIF, WebP, PNG or AVIF) or a folder of pictures ``NAME/`` is a target,
``NAME.txt`` its caption. Beside it: ``NAME.condition.EXT``, ``NAME.condition_2.EXT`` and so on, ``NAME.reference.EXT``
and ``NAME.reference.txt``. Conditions and references may be videos, pictures or folders of pictures. Capitals in the
ending and in ``condition`` and ``reference`` do not matter. A folder without pictures that holds clips is an action:
they are called ``ACTION/NAME``.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

from .configs import read_config
from .listings import LISTS, Listing, Row, read_listing
from .media.kinds import folder_images, is_picture, not_a_clip
from .media.span import WHOLE, Span

PART = re.compile(r"^(?P<name>.+)\.(?P<part>condition(?:_(?:[2-9]|[1-9]\d+))?|reference)$", re.IGNORECASE)
LONGEST_CAPTION = 100_000  # bytes of a caption's file
REPEATED = re.compile(r"^(\d+)_")  # of a folder's name, as kohya's tools write how often its clips are seen
TARGET, REFERENCE = "target", "reference"
LEADS_OUT = "a link that leads out of the input folder; copy the file here"


@dataclass
class ClipFiles:
    """The files that share one NAME, by the part they play: target, condition, condition_2, …, reference."""

    clips: dict[str, list[Path]] = field(default_factory=dict)
    captions: dict[str, list[Path]] = field(default_factory=dict)
    text: str = ""  # the target's caption, where a list holds it
    span: Span = WHOLE  # which frames of the target's file are meant
    frames: int | None = None  # how many of them at most, where a list says so
    leads: bool = False  # a target that stands still at its start begins with its condition

    def clip(self, part: str) -> Path:
        """The one clip of a part.

        Raises:
            ValueError: There is none, or more than one.
        """
        paths = self.clips.get(part, [])
        if not paths:
            raise ValueError(f"no {part} beside its other files; add one, or remove them")
        if len(paths) > 1:
            raise ValueError(f"more than one {part} ({', '.join(p.name for p in paths)}); keep one")
        return paths[0]

    def condition_names(self) -> list[str]:
        """``condition``, ``condition_2`` and so on, as many as there are.

        Raises:
            ValueError: A number is missing in between.
        """
        found = [part for part in self.clips if part not in (TARGET, REFERENCE)]
        wanted = ["condition", *(f"condition_{i}" for i in range(2, len(found) + 1))][: len(found)]
        if missing := [part for part in wanted if part not in found]:
            raise ValueError(f"{', '.join(found)} without {missing[0]}; number the conditions without gaps")
        return wanted

    def caption(self, part: str, name: str) -> str:
        """The caption of the target or the reference; ``name`` is the file it should be in.

        Raises:
            ValueError: There is none, more than one, or it cannot be read.
        """
        if self.text and part == TARGET:
            return self.text
        paths = self.captions.get(part, [])
        if len(paths) > 1:
            raise ValueError(f"more than one caption ({', '.join(p.name for p in paths)}); keep one")
        if not paths:
            raise ValueError(f"no caption; write one into {name}")
        return read_caption(paths[0])


@dataclass
class FolderFiles:
    """Everything that lies in a folder."""

    entries: dict[str, ClipFiles] = field(default_factory=dict)  # by NAME
    refused: dict[str, str] = field(default_factory=dict)  # file name and why it is no clip
    ignored: dict[str, str] = field(default_factory=dict)  # file name and why it plays no part
    notes: list[str] = field(default_factory=list)  # what a list says and is used in another way, or not


def list_folder(folder: Path, within: Path | None = None) -> FolderFiles:
    """Sort the files of a folder; every one of them ends in exactly one place of the result.

    Where the folder holds a list of clips (see ``listings`` and ``configs``), that list alone decides. A link that
    leads out of ``within``, or without it of the folder, is refused: the pack reads nothing there.

    Raises:
        ValueError: The list cannot be read.
    """
    found, base = FolderFiles(), (folder if within is None else within).resolve()
    found.refused = {name: LEADS_OUT for name in LISTS if not _ends_in(folder / name, base)}
    if not found.refused:
        listing = read_listing(folder) or read_config(folder, lambda path: _ends_in(path, base))
        if listing is not None:
            return _listed(folder, base, listing)
    for path in sorted(folder.iterdir()):
        if _leads_out(path, base):
            found.refused[path.name] = LEADS_OUT
            continue
        inside = sorted(path.iterdir()) if _is_action(path) else []
        if inside and (times := REPEATED.match(path.name)):
            found.notes.append(
                f"{path.name}/: each clip counts once; core's Load Video-Text would take it {int(times[1])} times"
            )
        for inner in inside:
            _sort_in(found, inner, f"{path.name}/")
        if not inside:
            _sort_in(found, path)
    _join_captions(found)
    return found


def _leads_out(path: Path, base: Path) -> bool:
    """Whether a path, or one in the folder that it is, ends outside of a folder once all links are followed."""
    try:
        if not path.resolve().is_relative_to(base):
            return True
        return path.is_dir() and any(_leads_out(inner, base) for inner in path.iterdir())
    except (OSError, RuntimeError):  # a loop of links, or a folder that may not be read
        return True


def _ends_in(path: Path, base: Path) -> bool:
    """Whether a path ends in a folder once all links are followed, whatever lies in it."""
    try:
        return path.resolve().is_relative_to(base)
    except (OSError, RuntimeError):  # a loop of links
        return False


def read_caption(path: Path) -> str:
    """The text of a caption file, UTF-8 with or without a byte order mark.

    Raises:
        ValueError: It is missing, empty or in another encoding.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_CAPTION + 1)
    except OSError as error:
        raise ValueError(f"the caption {path.name} cannot be read ({error.strerror}); replace it") from error
    if len(data) > LONGEST_CAPTION:
        raise ValueError(f"the caption {path.name} has over {LONGEST_CAPTION} bytes; say in a few words what it shows")
    try:
        caption = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        kind = "UTF-16" if data.startswith(marks) else "in another encoding than UTF-8"
        raise ValueError(f"the caption {path.name} is {kind}; save it as UTF-8 text") from error
    if not caption:
        raise ValueError(f"the caption {path.name} is empty; say what the clip shows")
    return caption


def _listed(folder: Path, base: Path, listing: Listing) -> FolderFiles:
    """The clips of a list, called by their place in the folder without the ending, or as the list calls them."""
    found = FolderFiles(refused=dict(listing.refused), notes=list(listing.notes))
    for number, row in enumerate(listing.rows, 1):
        paths = [row.clip, *row.conditions]
        reason = LEADS_OUT if any(_leads_out(path, base) for path in paths) else _not_a_clip(row.clip, False)
        if reason:
            place = row.clip.relative_to(folder).as_posix()
            found.refused[f"{place} ({number})" if place in found.refused else place] = reason
            continue
        name = row.name or row.clip.relative_to(folder).with_suffix("").as_posix()
        found.entries[f"{name} ({number})" if name in found.entries else name] = _entry(row)
    _tell_unlisted(found, folder, listing)
    return found


def _tell_unlisted(found: FolderFiles, folder: Path, listing: Listing) -> None:
    """Name the clips and captions of a folder that its list does not mention."""
    used = {path for row in listing.rows for path in (row.clip, *row.conditions)}
    known = used | {parent for path in used for parent in path.parents} | {path.with_suffix(".txt") for path in used}
    for path in sorted(folder.iterdir()):
        caption = path.suffix.lower() == ".txt" and path.name not in LISTS
        if path in known or path.name.startswith((".", "__")) or not (caption or not _not_a_clip(path, True)):
            continue
        found.ignored[path.name] = f"not in {listing.file}, which alone decides"


def _entry(row: Row) -> ClipFiles:
    parts = ["condition", *(f"condition_{i}" for i in range(2, len(row.conditions) + 1))]
    conditions = {part: [path] for part, path in zip(parts, row.conditions, strict=False)}
    clips = {TARGET: [row.clip], **conditions}
    return ClipFiles(clips, text=row.caption, span=row.span, frames=row.frames, leads=row.leads)


def _sort_in(found: FolderFiles, path: Path, action: str = "") -> None:
    """Put one file, or folder of pictures, in its place; ``action`` is the folder it lies in, with a slash."""
    caption = path.suffix.lower() == ".txt" and not path.is_dir()
    stem = path.name if path.is_dir() else path.stem
    match = PART.match(stem)
    name, part = (match["name"], match["part"].lower()) if match else (stem, TARGET)
    if path.name.startswith((".", "__")):
        found.ignored[f"{action}{path.name}"] = "hidden"
    elif caption and part not in (TARGET, REFERENCE):
        found.ignored[f"{action}{path.name}"] = "a condition needs no caption"
    elif reason := "" if caption else _not_a_clip(path, match is not None):
        found.refused[f"{action}{path.name}"] = reason
    else:
        entry = found.entries.setdefault(f"{action}{name}", ClipFiles())
        (entry.captions if caption else entry.clips).setdefault(part, []).append(path)


def _is_action(path: Path) -> bool:
    """Whether this is a folder of clips, and not a clip as a folder of pictures."""
    if not path.is_dir() or path.name.startswith((".", "__")) or PART.match(path.name) or folder_images(path):
        return False
    return any(not _not_a_clip(inner, False) for inner in path.iterdir() if not inner.name.startswith((".", "__")))


def _join_captions(found: FolderFiles) -> None:
    """Give what has no clip of its own to the one clip whose name differs in capitals only.

    Other captions are listed as ignored; conditions without a target are reported later.
    """
    for name in [name for name, entry in found.entries.items() if TARGET not in entry.clips]:
        entry = found.entries[name]
        same = [o for key, o in found.entries.items() if key.lower() == name.lower() and TARGET in o.clips]
        if entry.clips and len(same) != 1:
            continue
        del found.entries[name]
        for part, paths in entry.clips.items():
            same[0].clips.setdefault(part, []).extend(paths)
        for part, paths in entry.captions.items():
            if len(same) == 1 and part not in same[0].captions:
                same[0].captions[part] = paths
            else:
                action = name.rpartition("/")
                found.ignored.update(
                    {f"{action[0]}{action[1]}{path.name}": "a caption without a clip" for path in paths}
                )


def _not_a_clip(path: Path, is_part: bool) -> str:
    """Why a file or folder cannot be used, or nothing."""
    if path.is_dir():
        return "" if folder_images(path) else "a folder without pictures"
    if reason := not_a_clip(path):
        return reason
    if is_picture(path) and not is_part:
        return "one picture is no target; name it NAME.condition, or use a clip or a folder of pictures"
    return ""
