"""Which frames of a file are meant, counted as they lie in it: what lists of clips and held conditions speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from .timing import ClipInfo

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class Span:
    """Frames ``start``, ``start + stride``, … before ``stop``."""

    start: int = 0  # frames before it
    stop: int | None = None  # the first frame after it; None: to the end
    stride: int = 0  # every so many frames, one for one whatever the rate; 0: by their times

    def of(self, info: ClipInfo) -> ClipInfo:
        """What is left of a clip; taken one for one, its frames carry no time, as pictures do."""
        if self == WHOLE:
            return info
        left = len(range(*slice(self.start, self.stop, self.stride or 1).indices(info.frames)))
        if self.stride or not info.fps:
            return replace(info, frames=left, fps=0.0, duration=0.0, shortest=0.0, longest=0.0)
        return replace(info, frames=left, duration=left / info.fps)

    def timed(self, frames: Iterable[tuple[float, Picture]]) -> Iterator[tuple[float, Picture]]:
        """Its frames of all frames, with times after the first of them."""
        first: float | None = None
        for time, picture in islice(frames, self.start, self.stop, self.stride or 1):
            first = time if first is None else first
            yield time - first, picture

    def key(self) -> str:
        """Text that changes whenever other frames are meant."""
        return f"{self.start}:{self.stop}:{self.stride}"

    def __str__(self) -> str:
        """In words; frames are counted from 1."""
        to = "on" if self.stop is None else f"to {self.stop}"
        each = f", one of {self.stride}" if self.stride > 1 else ", one for one" if self.stride else ""
        return f"frames from {self.start + 1} {to}{each}"


WHOLE = Span()
