"""What the pictures of a clip show of how it was made: a still start, repeated frames, nothing that moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

STILL_START = 4  # frames; one latent of most video VAEs
REPEATED = 0.1  # share of the frames
ALIKE, NEARLY = 0.5, 8  # grey levels, mean and most, that two codings of one picture differ by
EVERY = 2  # pixels compared


@dataclass
class Movement:
    """Counts over the frames of a clip, each given once and in order."""

    frames: int = 0
    still: int = 0  # frames at the start that show what the first one shows
    repeats: int = 0  # later frames that show what the one before them shows
    _first: np.ndarray | None = None
    _last: np.ndarray | None = None

    def see(self, picture: np.ndarray) -> None:
        """Count one frame, uint8 [H, W, 3]."""
        small = picture[::EVERY, ::EVERY].astype(np.int16)
        if self._first is None or (self.frames == 1 and _settles(small, self._first)):
            self._first = small
        if self.still == self.frames and _alike(small, self._first):
            self.still += 1
        elif self._last is not None and _alike(small, self._last):
            self.repeats += 1
        self.frames += 1
        self._last = small

    def warnings(self) -> list[str]:
        """What to look at, in words."""
        moving = self.frames - self.still
        if self.frames < STILL_START:
            return []
        if not moving:
            return ["nothing in it moves"]
        found = []
        if self.still >= STILL_START:
            found.append(
                f"its first {self.still} frames stand still and {moving} move; if the still is its condition, set "
                "leading_condition to its frames in the file, or the still is learned as the start of every video"
            )
        if self.repeats > 1 and self.repeats >= REPEATED * moving:
            found.append(
                f"{self.repeats} of {moving} frames repeat the one before (telecine, or a lower rate inside); use "
                "that rate, or the source"
            )
        return found


def movement(pictures: Iterable[np.ndarray]) -> tuple[Movement, int]:
    """Movement in a clip, and how many frames it gave; a frame that is given twice is looked at once."""
    seen, count, previous = Movement(), 0, None
    for picture in pictures:
        if picture is not previous:
            seen.see(picture)
        previous, count = picture, count + 1
    return seen, count


def still_start(pictures: Iterable[np.ndarray]) -> int:
    """How many frames at the start show the same; the rest is not asked for."""
    seen = Movement()
    for picture in pictures:
        seen.see(picture)
        if seen.still < seen.frames:
            break
    return seen.still


def _settles(second: np.ndarray, first: np.ndarray) -> bool:
    """Whether only edges of the second frame differ: coders of video repair the first one there once it is shown."""
    return second.shape == first.shape and bool(np.abs(second - first).mean() <= ALIKE)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    difference = np.abs(one - other)
    return bool(difference.mean() <= ALIKE and difference.max() <= NEARLY)
