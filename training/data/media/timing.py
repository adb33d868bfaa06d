"""Timestamps: how long each frame is shown, and which frame is shown when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TypeVar

TIE = 1e-6  # seconds; of two frames equally near the earlier one is taken, whatever the rounding
UNEVEN = 1.5  # ratio of two gaps between frames; a gap that lacks one frame has 2
ROUNDING = 0.002  # seconds; Matroska keeps timestamps in whole milliseconds
LAST_FRAME = 0.1  # frames; containers round timestamps (WebM to 1 ms), so a last sliver is not a frame
LONG_LAST = 0.5  # seconds; a last frame held for longer, and for several others, is reported
LONG_LAST_FRAMES = 3.0
TOO_FAST = 0.0105  # seconds; browsers show frames of an animation with 10 ms or less …
AS_SHOWN = 0.1  # … for so long

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class ClipInfo:
    """What a clip holds, read without decoding all of it."""

    frames: int  # frames in the file
    fps: float  # mean frames a second; 0 for pictures, which carry no time
    duration: float  # seconds, the last frame's own time included; 0 for pictures
    width: int  # pixels, as shown: square ones, the file's rotation applied
    height: int  # pixels, as shown
    start: float = 0.0  # timestamp of the first frame, seconds
    last: float = 0.0  # timestamp of the last frame, seconds after the first
    shortest: float = 0.0  # seconds between two neighbouring frames, the least
    longest: float = 0.0  # and the most
    notes: tuple[str, ...] = ()  # what is done to it, in words
    warnings: tuple[str, ...] = ()  # what to look at
    numbered: bool = False  # frames are timed in the order in which they are decoded, not by times of their own

    @property
    def variable(self) -> bool:
        """Whether frames are unevenly spaced, beyond what containers round."""
        return self.longest > UNEVEN * self.shortest + ROUNDING

    def frames_at(self, fps: float) -> int:
        """Frames this clip has once resampled to ``fps``; pictures count as one frame each."""
        if not self.fps:
            return self.frames
        return max(1, math.ceil(self.duration * fps - LAST_FRAME))


@dataclass(frozen=True)
class Times:
    """When the frames of a file are shown, in seconds."""

    starts: tuple[float, ...]  # rising
    hold: float  # of the last frame; 0 where the file does not say
    numbered: bool = False  # they belong to frames in the order in which those are decoded

    def info(self, width: int, height: int, notes: Sequence[str] = (), warnings: Sequence[str] = ()) -> ClipInfo:
        """Rate, length and spacing; a video of one frame is a picture."""
        count, start, last = len(self.starts), self.starts[0], self.starts[-1] - self.starts[0]
        if not last:
            return ClipInfo(1, 0.0, 0.0, width, height, notes=tuple(notes), warnings=tuple(warnings))
        gaps = [after - before for before, after in pairwise(self.starts)]
        hold = self.hold or last / (count - 1)  # some containers leave it out: take the mean
        usual = median(gaps)
        if hold > LONG_LAST and hold > LONG_LAST_FRAMES * usual:
            warnings = (*warnings, f"its last frame is held for {hold:.1f} s, the others for {1000 * usual:.0f} ms")
        duration = last + hold
        spread = (start, last, min(gaps), max(gaps))
        said = (tuple(notes), tuple(warnings), self.numbered)
        return ClipInfo(count, count / duration, duration, width, height, *spread, *said)


def as_shown(durations: Iterable[float]) -> tuple[list[float], bool]:
    """Seconds that browsers show the frames of an animation for, and whether they differ from those in the file.

    Source: Firefox and Chromium show frames of 10 ms and less for 100 ms.
    """
    told = list(durations)
    shown = [AS_SHOWN if seconds < TOO_FAST else seconds for seconds in told]
    return shown, shown != told


def nearest_frames(frames: Iterable[tuple[float, Picture]], fps: float, count: int) -> Iterator[Picture]:
    """Resample to a constant rate: output k is the frame whose timestamp is nearest to k / fps.

    Args:
        frames: Timestamp in seconds and picture, in rising order; any spacing.
        fps: Wanted frames a second.
        count: Wanted frames; the last picture is held to fill them.
    """
    done, previous = 0, None
    for time, picture in frames:
        while previous is not None and done < count and done / fps <= (previous[0] + time) / 2 + TIE:
            yield previous[1]
            done += 1
        if done == count:
            return
        previous = (time, picture)
    while previous is not None and done < count:
        yield previous[1]
        done += 1
