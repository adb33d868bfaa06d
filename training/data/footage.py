"""Frames in memory and their rate, from tensors or read from a file with the times it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .clips import has_transparency, over_background, resample
from .cut import WHOLE, Cut, stacked
from .media.alpha import transparency_note
from .media.decode import probe_content, timed_frames
from .media.files import Source, source_name
from .media.notes import Notes
from .media.options import DEFAULT, ReadOptions
from .media.timing import ClipInfo, nearest_frames

SAME_RATE = 0.01  # relative; below it frames are taken one for one


@dataclass(frozen=True)
class Footage:
    """Frames and their rate."""

    frames: Tensor  # [T, H, W, C] in [0, 1]
    fps: float | None = None  # frames a second; None where unknown, as for an IMAGE batch
    notes: tuple[str, ...] = ()  # what was done to them, and what to look at
    own_fps: float | None = None  # mean rate of the file they were read from
    whole: int = 0  # frames at this rate without a cut; of a file that was not read to its end, as it says


@dataclass(frozen=True)
class Window:
    """Which part of a video is meant, in seconds after its first frame."""

    start: float = 0.0  # below 0: so long before its end
    duration: float = 0.0  # 0: to the end

    def bounds(self, info: ClipInfo) -> tuple[float, float]:
        """Start and end in seconds."""
        start = self.start if self.start >= 0 else max(0.0, info.duration + self.start)
        return start, start + self.duration if self.duration else info.duration


@dataclass(frozen=True)
class Reel:
    """Frames of a video file that are decoded when they are asked for, one after the other."""

    pictures: Iterator[np.ndarray]  # uint8 RGB [H, W, 3], at an even rate
    count: int  # how many there are; 0 where the file holds a picture
    fps: float  # frames a second
    info: ClipInfo
    notes: Notes  # filled on the way


def open_reel(
    source: Source,
    fps: float | None = None,
    window: Window | None = None,
    options: ReadOptions = DEFAULT,
    start: float = 0.0,
) -> Reel:
    """The frames of a video file by its own timestamps, see ``read_footage``; no more than one is held.

    Raises:
        ValueError: The file cannot be read.
    """
    info, notes = probe_content(source, options), Notes()
    if not info.fps:
        return Reel((picture for _, picture in timed_frames(source, info, options, notes)), 0, 0.0, info, notes)
    own = abs(info.fps - fps) <= SAME_RATE * fps if fps else True
    rate = info.fps if own or not fps else fps
    begin, end = (window or Window()).bounds(info)
    begin += start
    count = _count(info, rate, begin, end)
    frames = _within(timed_frames(source, info, options, notes), begin, end)
    taken = nearest_frames(frames, rate, count) if info.variable or not own else (f for _, f in frames)
    return Reel(taken, count, rate, info, notes)


def read_footage(
    source: Source,
    fps: float | None = None,
    window: Window | None = None,
    options: ReadOptions = DEFAULT,
    cut: Cut = WHOLE,
) -> Footage:
    """Frames of a video file by its own timestamps, at an even rate.

    Args:
        source: The file, or its bytes.
        fps: Wanted frames a second; None for the file's own mean rate.
        window: The part that is meant; None for all of it.
        options: The user's choices.
        cut: The part of the window that is meant, and its size; nothing after it is decoded.

    Raises:
        ValueError: The file cannot be read, or the window holds no frame.
    """
    reel = open_reel(source, fps, window, options, cut.start)
    frames = stacked(reel.pictures, cut.frames if reel.info.fps else 1, cut.size)
    ended = not cut.frames or len(frames) < cut.frames
    return footage_of(source, window, cut.start, reel, frames, len(frames) if ended else max(len(frames), reel.count))


def footage_of(source: Source, window: Window | None, begin: float, reel: Reel, frames: Tensor, whole: int) -> Footage:
    """Frames of a reel, read ``begin`` seconds into its window, with what is to be said of them.

    Raises:
        ValueError: There are none.
    """
    info, notes, rate = reel.info, reel.notes, reel.fps
    if not len(frames):
        start, end = (window or Window()).bounds(info)
        raise ValueError(
            f"{source_name(source)} has no frame from {start + begin:g} to {end:g} s; move the trimming or the start"
        )
    if not info.fps:
        return Footage(frames, None, (*info.notes, *notes.said), whole=whole)
    notes.say(*info.notes)
    if info.variable:
        gaps = f"{1000 * info.shortest:.0f} to {1000 * info.longest:.0f} ms a frame"
        notes.say(f"uneven frame times ({gaps}), taken by them at {rate:.4g} fps")
    return Footage(frames, rate, (*notes.said, *info.warnings, *notes.warned), info.fps, whole)


def at_rate(footage: Footage, rate: float, own: float | None, background: str) -> Footage:
    """Footage brought to ``rate`` frames a second and to three channels; what was done is noted.

    Args:
        footage: Frames.
        rate: Wanted frames a second.
        own: Their rate where the footage does not know it; None leaves the frames as they are.
        background: One of ``BACKGROUNDS``, seen through transparent parts.
    """
    frames, notes, told = footage.frames, list(footage.notes), footage.fps or own
    if has_transparency(frames):
        notes.append(transparency_note(background))
    frames = over_background(frames.float(), background)
    if told and resampled(frames, told, rate):
        count, frames = len(frames), resample(frames, told, rate)
        notes.append(f"{told:.4g} → {rate:.4g} fps, {count} → {len(frames)} frames")
    return Footage(frames, rate, tuple(dict.fromkeys(notes)))


def resampled(frames: Tensor, own: float, rate: float) -> bool:
    """Whether frames of a rate ``own``, 0 where it is unknown, have to be brought to ``rate``; a still has no rate."""
    return own > 0 and len(frames) > 1 and abs(own - rate) > SAME_RATE * rate


def _count(info: ClipInfo, rate: float, start: float, end: float) -> int:
    seconds = max(0.0, min(end, info.duration) - start)
    return info.frames_at(rate) if seconds >= info.duration else max(1, round(seconds * rate))


def _within(frames: Iterable[tuple[float, np.ndarray]], start: float, end: float) -> Iterator[tuple[float, np.ndarray]]:
    """Frames from ``start`` to before ``end``, timed from ``start``; half a millisecond is rounding."""
    for time, picture in frames:
        if time >= end - 5e-4:
            return
        if time >= start - 5e-4:
            yield time - start, picture
