"""Frames of a video file picked by their numbers, where only reading it tells how many there are."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from torch import Tensor

from .cut import stacked
from .footage import Footage, Window, footage_of, open_reel
from .media.files import Source, source_name
from .media.options import DEFAULT, ReadOptions

Choose = Callable[[int], Sequence[int]]  # from the number of frames, the rising numbers of the wanted ones, one or more


def read_chosen(
    source: Source,
    choose: Choose,
    window: Window | None = None,
    options: ReadOptions = DEFAULT,
) -> Footage:
    """Frames of a video file picked by their numbers at its own mean rate; no others are held.

    Args:
        source: The file, or its bytes.
        choose: Which frames are wanted.
        window: The part that is meant; None for all of it.
        options: The user's choices.

    Raises:
        ValueError: The file cannot be read, the window holds no frame, or it is written to meanwhile.
    """
    known = 0
    for _ in range(2):  # only reading tells how many there are; what the file says is almost always right
        reel = open_reel(source, None, window, options)
        known = known or max(1, reel.count)
        frames, count = _picked(reel.pictures, choose(known))
        if count in (0, known):
            return footage_of(source, window, 0.0, reel, frames, count)
        known = count
        del frames
    raise ValueError(f"{source_name(source)} changes while it is read; wait until it is written")


def _picked(pictures: Iterable[np.ndarray], wanted: Sequence[int]) -> tuple[Tensor, int]:
    """Frames of the wanted numbers as far as there are any, and how many pictures there are."""
    times, seen = Counter(wanted), 0

    def taken() -> Iterator[np.ndarray]:
        nonlocal seen
        for picture in pictures:
            seen += 1
            yield from repeat(picture, times[seen - 1])

    found = taken()
    frames = stacked(found, len(wanted))
    deque(found, maxlen=0)  # those behind the last wanted one are counted
    return frames, seen
