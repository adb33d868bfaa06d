"""Buckets: the few sizes and lengths that clips of many shapes are brought to, near one number of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

ONE_SIZE, BY_ASPECT, BY_ASPECT_AND_LENGTH = BUCKETS = ("one size", "by aspect", "by aspect and length")
LANDSCAPE = (1.0, 4 / 3, 3 / 2, 16 / 9, 2.0, 21 / 9)  # the shapes cameras and screens have
SAME_ASPECT = 0.06  # a shape so near to the asked one needs no bucket of its own
ROUNDING = 0.15  # a shape that rounding to whole patches changes by more is no use
STEP = 4  # frames between two lengths: one latent of most video VAEs
SHORTEST = 1 / 3  # of the asked length; a shorter clip holds too little of the motion


@dataclass(frozen=True)
class Bucket:
    """Clips that can lie in one batch."""

    width: int  # pixels
    height: int  # pixels
    frames: int  # of the target

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.frames} frames"


def check_buckets(buckets: str, multiple: int) -> None:
    """Refuse an unknown choice.

    Raises:
        ValueError: ``buckets`` is none of ``BUCKETS``, or ``multiple`` is below 1.
    """
    if buckets not in BUCKETS:
        raise ValueError(f"buckets is {buckets!r}; choose one of {', '.join(BUCKETS)}")
    if multiple < 1:
        raise ValueError(f"bucket sides in multiples of {multiple} pixels were asked for; use at least 1, usually 16")


@lru_cache(maxsize=64)
def bucket_sizes(width: int, height: int, multiple: int) -> tuple[tuple[int, int], ...]:
    """Sizes (width, height) in pixels that clips may be brought to; the asked size comes first, as it is.

    One for each common shape, upright and lying, with sides that are multiples of ``multiple`` and never more than
    ``width * height`` pixels, so that no bucket needs more memory than the asked size.
    """
    asked = width / height
    shapes = dict.fromkeys(shape for ratio in LANDSCAPE for shape in (ratio, 1 / ratio))
    sizes = [(width, height)]
    for shape in shapes:
        if abs(math.log(shape / asked)) > SAME_ASPECT:
            sizes += _rounded(width * height, shape, multiple)
    return tuple(dict.fromkeys(sizes))


def nearest_size(width: int, height: int, sizes: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The size that the most is left of in a picture of ``width`` x ``height`` pixels; of equals the first."""
    return max(sizes, key=lambda size: kept_share(width, height, *size))


def kept_share(width: int, height: int, new_width: int, new_height: int) -> float:
    """Share of a picture, in (0, 1], that is left when it covers another shape and is cropped."""
    ratio = width * new_height / (height * new_width)
    return min(ratio, 1 / ratio)


def nearest_length(available: int, wanted: int) -> int | None:
    """Frames to use of a clip with ``available`` frames: those wanted, or ``STEP`` less, again and again.

    None where less than a third of the wanted ones would be left.
    """
    if available >= wanted:
        return wanted
    frames = wanted - STEP * -(-(wanted - available) // STEP)
    return frames if frames >= shortest_length(wanted) else None


def shortest_length(wanted: int) -> int:
    """The smallest number of frames that ``nearest_length`` gives."""
    return wanted - STEP * int((wanted - max(1.0, wanted * SHORTEST)) // STEP)


def _rounded(area: int, shape: float, multiple: int) -> Iterator[tuple[int, int]]:
    """The best size of a shape (width / height), or none: near the shape, near the area, not above it."""
    ideal = (math.sqrt(area * shape) / multiple, math.sqrt(area / shape) / multiple)
    # A whole number may come out of the root a hair too small.
    sides = [{math.floor(side + 1e-9), math.ceil(side - 1e-9)} for side in ideal]
    sizes = [(w * multiple, h * multiple) for w, h in product(*sides) if w and h and w * h * multiple**2 <= area]

    def wrong(size: tuple[int, int]) -> float:
        return abs(math.log(size[0] / size[1] / shape))

    near = sorted(size for size in sizes if wrong(size) < ROUNDING)
    if near:
        yield min(near, key=lambda size: wrong(size) + 1 - size[0] * size[1] / area)
