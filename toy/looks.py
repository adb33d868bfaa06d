"""What makes a scene of the toy world richer than a flat shape on plain paper: markings, light and backdrops.

All are functions of the place, in the picture or on the object, so they can be judged exactly.
"""

from __future__ import annotations

import numpy as np

# A part of the object in a second colour, and how a caption tells of it.
MARKINGS = {"plain": "", "stripe": "with a {} stripe", "side": "with a {} side", "top": "with a {} top"}
BACKDROPS = ("plain", "striped", "checked", "two-tone")
RELIEF = 22.0  # of a backdrop about its colour, of 255
LIGHT = 0.16  # an object is brighter by this share towards the upper left, and darker towards the lower right
SHADOW = 0.15  # share of the light that a shadow takes away
_HORIZON = 40  # row at which a two-tone backdrop becomes darker


def pattern(backdrop: str, size: int, native: int) -> np.ndarray:
    """Relief of a backdrop, float64 ``[size, size]`` in -1 … 1; patterns lie on the grid of the latents.

    Args:
        backdrop: a name in ``BACKDROPS``.
        size: pixels.
        native: pixels in which the world is laid out.

    Raises:
        ValueError: the backdrop has no such name.
    """
    place = ((np.arange(size) + 0.5) * (native / size)).astype(int)
    x, y = np.meshgrid(place, place)
    if backdrop == "plain":
        return np.zeros((size, size))
    if backdrop == "striped":
        return 1.0 - 2.0 * (x // 8 % 2)
    if backdrop == "checked":
        return 1.0 - 2.0 * ((x // 16 + y // 16) % 2)
    if backdrop == "two-tone":
        return np.where(y < _HORIZON, 1.0, -1.0)
    raise ValueError(f"backdrop {backdrop!r} is not of the toy world; use one of {', '.join(BACKDROPS)}")


def paper(colour: tuple[int, int, int], backdrop: str, size: int, native: int) -> np.ndarray:
    """A backdrop in a colour, ``[size, size, 3]`` in 0 … 255; black and white make room for the relief."""
    base = np.array(colour, dtype=np.float64)
    if backdrop != "plain":
        base = base.clip(RELIEF, 255 - RELIEF)
    return base + RELIEF * pattern(backdrop, size, native)[..., None]


def marked(marking: str, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Signed distance in pixels (negative inside) to the part of an object of ``radius`` that is marked.

    Raises:
        ValueError: the marking has no such name, or is none.
    """
    if marking == "stripe":
        return np.abs(dy) - 0.3 * radius + 0 * dx
    if marking == "side":
        return -dx + 0 * dy
    if marking == "top":
        return dy + 0.35 * radius + 0 * dx
    raise ValueError(f"marking {marking!r} is not of the toy world; use one of {', '.join(list(MARKINGS)[1:])}")


def light(dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Factor on the colour of a lit object."""
    return 1.0 - LIGHT * ((dx + dy) / (1.4142 * radius)).clip(-1, 1)
