"""Reading a folder of clips, captions, conditions and references into a Dataset; ``folder_files`` has the names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from .buckets import (
    BY_ASPECT_AND_LENGTH,
    ONE_SIZE,
    bucket_sizes,
    check_buckets,
    nearest_length,
    nearest_size,
    shortest_length,
)
from .check import ClipCheck, FileCheck, caption_tags
from .clips import FileClip
from .dataset import Dataset, Sample, check_size
from .duplicates import earlier_copies
from .folder_files import REFERENCE, TARGET, ClipFiles, FolderFiles, list_folder
from .leading import AUTOMATIC, Split, check_leading, split
from .media.kinds import VIDEO_SUFFIXES, other_files
from .media.known import FileNotes, known_info
from .media.options import DEFAULT, ReadOptions
from .media.span import WHOLE
from .media.timing import ClipInfo
from .report import RequestedFormat, advice_on, report_text, warnings_on

Progress = Callable[[int, int], None]  # done, total; may raise to cancel


def read_folder(
    folder: Path,
    width: int,
    height: int,
    frames: int,
    fps: float,
    condition_frames: int = 49,
    buckets: str = ONE_SIZE,
    multiple: int = 16,
    progress: Progress | None = None,
    within: Path | None = None,
    options: ReadOptions = DEFAULT,
    leading: int = AUTOMATIC,
    files: FolderFiles | None = None,
) -> Dataset:
    """The dataset a folder holds. Every clip is decoded once, to be sure that it can be; no frame is kept.
    Within ``files_known`` one that is known from an earlier session is not.

    Args:
        folder: Folder of clips.
        width: Wanted width in pixels; pictures cover it and are cropped around their centre.
        height: Wanted height in pixels.
        frames: Frames of each target, from its start; shorter clips are left out and reported.
        fps: Wanted frames a second; clips are resampled by their real timestamps.
        condition_frames: Longest condition or reference in frames; shorter ones stay as they are.
        buckets: One of ``BUCKETS``. "by aspect": clips of other shapes get other sizes of no more pixels;
            "by aspect and length": shorter clips also keep as many frames as they can, down to a third.
        multiple: Sides of the buckets' sizes are multiples of this, in pixels.
        progress: Called with (done, total) after each clip; may raise to cancel.
        within: Links in the folder may lead to anywhere in this one; without it, nowhere out of the folder.
        options: What lies behind transparent parts, and what becomes of HDR.
        leading: Frames at the start of each target's file that are its condition; see ``leading.split``.
        files: What plays which part, where the names of files in the folder do not say it.

    Raises:
        ValueError: A number is out of range, or nothing in the folder can be used; the reasons are named.
    """
    check_size(width, height, fps)
    check_buckets(buckets, multiple)
    check_leading(leading)
    if frames < 1 or condition_frames < 1:
        raise ValueError(f"{frames} frames a target and {condition_frames} a condition were asked for; use at least 1")
    asked = RequestedFormat(width, height, frames, fps, buckets)
    reader = FolderReader(Path(folder), asked, condition_frames, multiple, within, options, leading)
    return reader.read(progress, files)


class TooShortError(ValueError):
    """A target has fewer frames than are needed."""


@dataclass
class FolderReader:
    """Reads one folder; every decision ends in a ``ClipCheck``."""

    folder: Path
    asked: RequestedFormat
    condition_frames: int  # longest condition or reference
    multiple: int  # of the sides of buckets, pixels
    within: Path | None = None  # where links may lead to
    options: ReadOptions = DEFAULT
    leading: int = AUTOMATIC  # frames of a target that are its condition
    checks: list[ClipCheck] = field(default_factory=list)

    def read(self, progress: Progress | None = None, files: FolderFiles | None = None) -> Dataset:
        """The dataset, with what became of each clip in its ``checks`` and its report; see ``read_folder``.

        Raises:
            ValueError: There is no such folder, or nothing in it can be used; the reasons are named.
        """
        if files is None and not self.folder.is_dir():
            raise ValueError(f"the folder {self.folder.name!r} does not exist; choose another")
        files = list_folder(self.folder, self.within) if files is None else files
        samples = []
        for done, (name, entry) in enumerate(files.entries.items(), 1):
            if (sample := self._sample(name, entry)) is not None:
                samples.append(sample)
            if progress is not None:
                progress(done, len(files.entries))
        self.checks += [ClipCheck(name, (reason,)) for name, reason in files.refused.items()]
        if not samples:
            raise ValueError(self._nothing_usable(files))
        self._mark_copies(samples)
        asked, report = self.asked, report_text(self.checks, files.ignored, self.asked, files.notes)
        advice, checks = (*files.notes, *advice_on(self.checks, asked)), tuple(self.checks)
        return Dataset(tuple(samples), asked.width, asked.height, asked.fps, report, checks=checks, advice=advice)

    def _sample(self, name: str, entry: ClipFiles) -> Sample | None:
        """The sample, and its check; only the check where a reason speaks against it."""
        check = ClipCheck(
            name,
            caption=bool(entry.text) or TARGET in entry.captions,
            conditions=len(entry.clips.keys() - {TARGET, REFERENCE}),
            reference=REFERENCE in entry.clips,
        )
        found: list[ValueError] = []  # all that speaks against it
        clips, notes, texts = {}, {}, {TARGET: "", REFERENCE: ""}
        parts = self._add_clips(clips, entry, found)
        for part in texts:
            if part == TARGET or part in entry.clips:
                with collecting(found):
                    texts[part] = entry.caption(part, f"{name}.txt" if part == TARGET else f"{name}.{part}.txt")
        for part, clip in clips.items():
            with collecting(found):
                notes[part] = clip.check()
        check = replace(check, conditions=max(check.conditions, len(clips.keys() - {TARGET, REFERENCE})))
        if found or parts is None:
            short = any(isinstance(error, TooShortError) for error in found)
            self.checks.append(replace(check, reasons=tuple(map(str, found)), too_short=short))
            return None
        target, *others = (_file_check(clip, notes[part], part) for part, clip in clips.items())
        target = replace(target, notes=(*parts.notes, *target.notes))
        tags = caption_tags(texts[TARGET])
        warnings = (*parts.warnings, *warnings_on(target, others, tags), *_same_as_target(clips))
        self.checks.append(replace(check, target=target, others=tuple(others), tags=tags, warnings=warnings))
        return _sample_of(name, clips, texts[TARGET], texts[REFERENCE], self.asked.fps)

    def _add_clips(self, clips: dict[str, FileClip], entry: ClipFiles, found: list[ValueError]) -> Split | None:
        """Target, conditions and reference, in this order, all in the target's size; None without a readable target."""
        fps, options = self.asked.fps, self.options
        parts = None
        with collecting(found):
            path = entry.clip(TARGET)
            info = known_info(path, options)
            size, parts = self._size(info), split(entry, info, self.leading, options)
            with collecting(found):
                count = self._length(entry, parts.target.of(info))
                clips[TARGET] = FileClip(path, *size, count, fps, info, options, parts.target)
            if parts.condition is not None:
                count = min(parts.condition.of(info).frames_at(fps), self.condition_frames)
                clips["condition"] = FileClip(path, *size, count, fps, info, options, parts.condition)
            for part in (*entry.condition_names(), *([REFERENCE] if REFERENCE in entry.clips else [])):
                with collecting(found):
                    path = entry.clip(part)
                    info = known_info(path, options)
                    count = min(info.frames_at(fps), self.condition_frames)
                    clips[part] = FileClip(path, *size, count, fps, info, options)
        return parts

    def _size(self, info: ClipInfo) -> tuple[int, int]:
        asked = self.asked
        if asked.buckets == ONE_SIZE:
            return asked.width, asked.height
        return nearest_size(info.width, info.height, bucket_sizes(asked.width, asked.height, self.multiple))

    def _length(self, entry: ClipFiles, info: ClipInfo) -> int:
        asked, available = self.asked, info.frames_at(self.asked.fps)
        if entry.frames is not None:  # a list that says how many takes fewer where there are fewer
            return min(entry.frames, available, asked.frames)
        by_length = asked.buckets == BY_ASPECT_AND_LENGTH
        if (count := nearest_length(available, asked.frames) if by_length else asked.frames) and count <= available:
            return count
        needed = f"at least {shortest_length(asked.frames)}" if by_length else str(asked.frames)
        raise TooShortError(
            f"{entry.clip(TARGET).name} is too short: it has {available} frames at {asked.fps:g} fps, {needed} are "
            "needed; use a longer clip, fewer frames or a higher fps"
            + f', or set buckets to "{BY_ASPECT_AND_LENGTH}"'
            * (not by_length)
        )

    def _mark_copies(self, samples: list[Sample]) -> None:
        names = {sample.target.path: sample.name for sample in samples if isinstance(sample.target, FileClip)}
        copies = {names[copy]: names[original] for copy, original in earlier_copies(names).items()}
        for i, check in enumerate(self.checks):
            if check.used and (original := copies.get(check.name)):
                warning = f"its target is the same file as that of {original}, so it counts twice"
                self.checks[i] = replace(check, duplicate_of=original, warnings=(*check.warnings, warning))

    def _nothing_usable(self, files: FolderFiles) -> str:
        reasons = [f"{check.name}: {check.reason}" for check in self.checks]
        reasons += [f"{name}: {reason}" for name, reason in files.ignored.items() if reason != "hidden"]
        found = "; ".join(reasons) or f"it holds no {', '.join(VIDEO_SUFFIXES)} and no folder of pictures"
        return (
            f"nothing in the folder {self.folder.name!r} can be used: {found}; "
            "at least one clip NAME.mp4 that is long enough, with its caption NAME.txt, is needed"
        )


@contextmanager
def collecting(found: list[ValueError]) -> Iterator[None]:
    """Keep what is refused, and go on."""
    try:
        yield
    except ValueError as error:
        found.append(error)


def _sample_of(name: str, clips: dict[str, FileClip], caption: str, reference_caption: str, fps: float) -> Sample:
    target = clips[TARGET]
    return Sample(
        target=target,
        caption=caption,
        conditions=tuple(clip for part, clip in clips.items() if part not in (TARGET, REFERENCE)),
        reference=clips.get(REFERENCE),
        reference_caption=reference_caption,
        name=name,
        fps=fps,
        size=(target.width, target.height),
        action=name.rpartition("/")[0],
    )


def _file_check(clip: FileClip, notes: FileNotes, part: str) -> FileCheck:
    unused = tuple(other_files(clip.path))
    warned = notes.warned + (notes.moves if part in (TARGET, REFERENCE) else ())  # a condition may stand still
    shape = (clip.fps, clip.count, clip.width, clip.height)
    info = clip.span.of(clip.info)
    if clip.span.stride:  # said by the split: frames, and not pictures, without times
        info = replace(info, fps=clip.fps, duration=info.frames / clip.fps)
    return FileCheck(clip.path.name, info, *shape, unused, notes.said, warned)


def _same_as_target(clips: dict[str, FileClip]) -> list[str]:
    """Conditions and references that are the target once more."""
    copies = earlier_copies(clip.path for clip in clips.values() if clip.span == WHOLE)
    target = clips[TARGET].path
    return [f"{path.name} has the same content as its target" for path, first in copies.items() if first == target]
