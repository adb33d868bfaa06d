"""How the judge tells backdrops, markings and flicker from pixels."""

from __future__ import annotations

import numpy as np

from .looks import BACKDROPS, MARKINGS, RELIEF, marked, pattern
from .world import COLOURS, UNNAMED_COLOURS

_CLIPPED = 0.3  # most that one pixel counts against a backdrop, RGB distance; an object counts no more than that
_GAIN = 0.10  # share of the object's pixels that a marking must explain beyond one plain colour
_MARGIN = 1.0  # pixels at the edge of a marking that are mixed
_SHADOW_REACH = 9  # pixels around the object in which its shadow may lie


def find_paper(video: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """The background of a clip ``[T, H, W, 3]`` in [0, 1]: a picture ``[H, W, 3]``, its colour ``[3]``, its backdrop.

    The colour is the median of a two-pixel border after the backdrop's relief is taken away.
    """
    edge = np.ones(video.shape[1:3], dtype=bool)
    edge[2:-2, 2:-2] = False
    some = video[:: max(1, len(video) // 9)]
    found = {}
    for backdrop in BACKDROPS:
        relief = (RELIEF / 255.0 * pattern(backdrop, video.shape[1], video.shape[1])).astype(np.float32)[..., None]
        offset = np.median((video - relief)[:, edge].reshape(-1, 3), axis=0)
        left = np.linalg.norm(some - relief - offset, axis=-1)
        found[backdrop] = (float(np.minimum(left, _CLIPPED).mean()), relief + offset, offset)
    best = min(found, key=lambda backdrop: found[backdrop][0])
    return found[best][1], found[best][2], best


def name_marking(video: np.ndarray, mask: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> tuple[str, str, str]:
    """Colour of the object, its marking and the marking's colour, of frames ``[T, H, W, 3]`` in which it was found.

    Every pixel well inside gets the nearest colour of the world; the marking is the one whose two parts, each in the
    colour most of it has, explain the most pixels.

    Args:
        video: the frames.
        mask: where the object is, ``[T, H, W]``.
        centre: of the object, ``[T, 2]`` (x, y).
        radius: of the object, ``[T]``.
    """
    names = [*COLOURS, *UNNAMED_COLOURS]
    palette = np.array([(COLOURS | UNNAMED_COLOURS)[name] for name in names]) / 255.0
    core = _well_inside(mask)
    if not core.any():
        return "", "plain", ""
    labels = np.linalg.norm(video[core][:, None] - palette, axis=-1).argmin(1)
    t, y, x = np.nonzero(core)
    dx, dy = x + 0.5 - centre[t, 0], y + 0.5 - centre[t, 1]
    most = np.bincount(labels).argmax()
    best = (float((labels == most).mean()) + _GAIN, most, "plain", -1)
    for marking in list(MARKINGS)[1:]:
        distance = marked(marking, dx, dy, radius[t])
        inside, outside = labels[distance < -_MARGIN], labels[distance > _MARGIN]
        if not len(inside) or not len(outside):
            continue
        mark, body = np.bincount(inside).argmax(), np.bincount(outside).argmax()
        explained = ((inside == mark).sum() + (outside == body).sum()) / (len(inside) + len(outside))
        if mark != body and explained > best[0]:
            best = (float(explained), body, marking, mark)
    return names[best[1]], best[2], names[best[3]] if best[2] != "plain" else ""


def flicker_of(video: np.ndarray, mask: np.ndarray) -> float:
    """Mean change from frame to frame, of 255, of the background that no object or shadow is near in either."""
    if len(video) < 2:
        return 0.0
    near = _grown(mask, _SHADOW_REACH)
    free = ~(near[1:] | near[:-1])
    return float(np.abs(np.diff(video, axis=0))[free].mean() * 255.0) if free.any() else 0.0


def _well_inside(mask: np.ndarray) -> np.ndarray:
    return ~_grown(~mask, 1)


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    """A mask ``[T, H, W]`` and all pixels within ``by`` of it, in each direction of the grid in turn."""
    out = mask.copy()
    for axis in (1, 2):
        grown = out.copy()
        for step in range(1, by + 1):
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            grown[tuple(ahead)] |= out[tuple(behind)]
            grown[tuple(behind)] |= out[tuple(ahead)]
        out = grown
    return out
