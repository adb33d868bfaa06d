"""Which frames of a clip are meant, and how large they are: a clip of the graph is cut before it is decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from .clips import fit, resample


@dataclass(frozen=True)
class Cut:
    """A part of a clip at a size; as it comes, the whole clip at its own."""

    start: float = 0.0  # seconds after the clip's first frame
    frames: int = 0  # at the clip's new rate; 0: all
    size: tuple[int, int] | None = None  # width and height in pixels, cropped around the centre; None: the clip's own


WHOLE = Cut()


def make_cut(start: float, frames: int, width: int, height: int) -> Cut:
    """A cut from a node's numbers, 0 for what is left as it is.

    Raises:
        ValueError: one side of the size is missing.
    """
    if bool(width) != bool(height):
        there, missing = ("width", "height") if width else ("height", "width")
        raise ValueError(f"{there} is {width or height} and {missing} is 0; set both, or both to 0 for the clip's size")
    return Cut(start, frames, (width, height) if width else None)


def cut_frames(frames: Tensor, own: float, rate: float, cut: Cut) -> Tensor:
    """The part of frames ``[T, H, W, C]`` of ``own`` frames a second that is meant, at ``rate`` frames a second.

    Raises:
        ValueError: the clip ends before the start.
    """
    frames = frames[round(cut.start * own) :]
    if not len(frames):
        raise ValueError(f"the clip has no frame from {cut.start:g} s on; choose an earlier start")
    if own != rate and len(frames) > 1:
        frames = resample(frames, own, rate)
    frames = frames[: cut.frames or None]
    return fit(frames.float(), *cut.size) if cut.size else frames


def stacked(pictures: Iterable[np.ndarray], most: int = 0, size: tuple[int, int] | None = None) -> Tensor:
    """Float frames ``[T, H, W, 3]`` in [0, 1] of pictures that come one by one, at most ``most``; 0 takes all.

    They are fitted to ``size``, or to the first's. With ``most``, no more than one is held at its own size; without,
    each is let go as soon as it is among the frames.
    """
    if not most:
        held = deque(pictures)
        most = len(held)
        pictures = (held.popleft() for _ in range(most))
    out, count = torch.empty(0, 1, 1, 3), 0
    for picture in islice(pictures, most):
        if not count:
            width, height = size or (picture.shape[1], picture.shape[0])
            out = torch.empty(most, height, width, 3)
        out[count] = fit(torch.from_numpy(picture).float().div_(255)[None], out.shape[2], out.shape[1])[0]
        count += 1
    return out[:count]
