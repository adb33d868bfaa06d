"""Square pixels and the right way up: the size a frame is shown at, and the turns that bring it there."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OUTERMOST = 8  # a pixel more oblong than this is a damaged header
MATRIX_BYTES = 36  # nine 32-bit numbers

# Display matrix (signs of a, b, c, d in x' = a x + c y, y' = b x + d y) to filters. Source: QuickTime File Format,
# "Matrices"; y grows downwards.
TURNS: dict[tuple[int, int, int, int], tuple[tuple[str, str], ...]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; 1 where nothing, or nothing sensible, is said."""
    told = stream.sample_aspect_ratio
    aspect = Fraction(told) if told else Fraction(1)
    return aspect if 1 / OUTERMOST <= aspect <= OUTERMOST else Fraction(1)


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size in square pixels; the short side of a pixel grows, so that no detail is lost."""
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def turns_of(frame: VideoFrame) -> tuple[tuple[str, str], ...]:
    """Filters that show a frame as its display matrix says, mirrors included; of other angles the nearest."""
    entries: Any = frame.side_data  # the type stubs call it a mapping of names
    for data in entries:
        if data.type.name == "DISPLAYMATRIX":
            raw = bytes(data)
            return turns_of_matrix(struct.unpack(f"={MATRIX_BYTES // 4}i", raw[:MATRIX_BYTES]))
    return ()


def turns_of_matrix(matrix: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """Filters for a display matrix of nine fixed-point numbers, row by row."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    upright = abs(a) + abs(d) >= abs(b) + abs(c)
    signs = (_sign(a), 0, 0, _sign(d)) if upright else (0, _sign(b), _sign(c), 0)
    return TURNS.get(signs, ())


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
