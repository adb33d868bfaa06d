"""Reading a folder of clips, captions, conditions and references into a Dataset.

``NAME.mp4`` (mov, webm, mkv, gif) or a folder of pictures ``NAME/`` is a target, ``NAME.txt`` its caption.
Beside it: ``NAME.condition.EXT``, ``NAME.condition_2.EXT`` and so on, ``NAME.reference.EXT`` and
``NAME.reference.txt``. Conditions and references may be videos, pictures or folders of pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .clips import FileClip
from .dataset import Dataset, Sample, check_size
from .decode import IMAGE_SUFFIXES, VIDEO_SUFFIXES, folder_images, probe

PART = re.compile(r"^(?P<name>.+)\.(?P<part>condition(?:_(?:[2-9]|[1-9]\d+))?|reference)$")


def read_folder(folder: Path, width: int, height: int, frames: int, fps: float, condition_frames: int = 49) -> Dataset:
    """The dataset a folder holds. Files are looked at, not decoded.

    Args:
        folder: Folder of clips.
        width: Wanted width in pixels; pictures cover it and are cropped around their centre.
        height: Wanted height in pixels.
        frames: Frames of each target, from its start; shorter clips are left out and reported.
        fps: Wanted frames a second; clips are resampled by their real timestamps.
        condition_frames: Longest condition or reference in frames; shorter ones stay as they are.

    Raises:
        ValueError: A number is out of range, or nothing in the folder can be used; the reasons are named.
    """
    check_size(width, height, fps)
    if frames < 1 or condition_frames < 1:
        raise ValueError(f"{frames} frames a target and {condition_frames} a condition were asked for; use at least 1")
    return FolderReader(Path(folder), width, height, frames, fps, condition_frames).read()


@dataclass
class Entry:
    """The files that share one NAME."""

    targets: list[Path] = field(default_factory=list)
    parts: dict[str, list[Path]] = field(default_factory=dict)  # "condition", "condition_2", …, "reference"


@dataclass
class FolderReader:
    """Reads one folder; every decision ends as a line of the report."""

    folder: Path
    width: int  # pixels
    height: int  # pixels
    frames: int  # of each target
    fps: float  # wanted frames a second
    condition_frames: int  # longest condition or reference
    notes: list[str] = field(default_factory=list)  # what was changed
    dropped: list[str] = field(default_factory=list)  # what was left out, and why

    def read(self) -> Dataset:
        if not self.folder.is_dir():
            raise ValueError(f"the folder {self.folder.name!r} does not exist; choose another")
        samples = []
        for name, entry in self._entries().items():
            try:
                samples.append(self._sample(name, entry))
            except ValueError as error:
                self.dropped.append(f"{name}: {error}")
        if not samples:
            reasons = "; ".join(self.dropped) or f"it holds no {', '.join(VIDEO_SUFFIXES)} and no folder of pictures"
            raise ValueError(f"nothing in the folder {self.folder.name!r} can be used: {reasons}")
        return Dataset(tuple(samples), self.width, self.height, self.fps, self._report(len(samples)))

    def _entries(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith((".", "__")) or path.suffix.lower() == ".txt":
                continue
            name = path.name if path.is_dir() else path.stem
            match = PART.match(name)
            if reason := _not_a_clip(path, match is not None):
                self.dropped.append(f"{path.name}: {reason}")
            elif match:
                entries.setdefault(match["name"], Entry()).parts.setdefault(match["part"], []).append(path)
            else:
                entries.setdefault(name, Entry()).targets.append(path)
        return entries

    def _sample(self, name: str, entry: Entry) -> Sample:
        notes: list[str] = []
        target = _only(entry.targets, "target")
        caption = _read_caption(self.folder / f"{name}.txt")
        clip = self._clip(target, self.frames, notes)
        conditions = []
        for part in _condition_names(entry):
            conditions.append(self._clip(_only(entry.parts[part], part), None, notes))
        reference, reference_caption = None, ""
        if "reference" in entry.parts:
            reference = self._clip(_only(entry.parts["reference"], "reference"), None, notes)
            reference_caption = _read_caption(self.folder / f"{name}.reference.txt")
        self.notes += notes  # only now: a dropped sample has nothing to tell about resampling
        return Sample(clip, caption, tuple(conditions), reference, reference_caption, name, self.fps)

    def _clip(self, path: Path, frames: int | None, notes: list[str]) -> FileClip:
        info = probe(path)
        available = info.frames_at(self.fps)
        count = min(available, self.condition_frames) if frames is None else frames
        clip = FileClip(path, self.width, self.height, count, self.fps, info)
        changes = []
        if info.fps and abs(info.fps - self.fps) > 0.01 * self.fps:
            changes.append(f"{_number(info.fps)} → {_number(self.fps)} fps, {info.frames} → {available} frames")
        elif info.frames != available:
            changes.append(f"{info.frames} → {available} frames on real timestamps")
        if count < available:
            changes.append(f"first {count} of {available} frames kept")
        if not info.fps and available > 1:
            changes.append(f"{available} pictures taken as {_number(self.fps)} fps")
        if changes:
            notes.append(f"{path.name}: {', '.join(changes)}")
        return clip

    def _report(self, count: int) -> str:
        size = f"{self.width}x{self.height}, {self.frames} frames at {_number(self.fps)} fps"
        lines = [f"{count} clip{'s' * (count != 1)}, {size}", *self.notes]
        if self.dropped:
            lines += [f"{len(self.dropped)} left out:", *self.dropped]
        return "\n".join(lines)


def _not_a_clip(path: Path, is_part: bool) -> str:
    """Why a file or folder cannot be used, or nothing."""
    if path.is_dir():
        return "" if folder_images(path) else "a folder without pictures"
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES and not is_part:
        return "one picture is no target; name it NAME.condition, or use a clip or a folder of pictures"
    if suffix not in VIDEO_SUFFIXES + IMAGE_SUFFIXES:
        return f"not a clip; use {', '.join(VIDEO_SUFFIXES)}"
    return ""


def _only(paths: list[Path], part: str) -> Path:
    if not paths:
        raise ValueError(f"no {part} beside its other files; add one, or remove them")
    if len(paths) > 1:
        raise ValueError(f"more than one {part} ({', '.join(p.name for p in paths)}); keep one")
    return paths[0]


def _condition_names(entry: Entry) -> list[str]:
    found = [part for part in entry.parts if part != "reference"]
    wanted = ["condition", *(f"condition_{i}" for i in range(2, len(found) + 1))][: len(found)]
    if missing := [part for part in wanted if part not in found]:
        raise ValueError(f"{', '.join(found)} without {missing[0]}; number the conditions without gaps")
    return wanted


def _read_caption(path: Path) -> str:
    try:
        caption = path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError as error:
        raise ValueError(f"no caption; write one into {path.name}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the caption {path.name} cannot be read; save it as UTF-8 text") from error
    if not caption:
        raise ValueError(f"the caption {path.name} is empty; say what the clip shows")
    return caption


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
