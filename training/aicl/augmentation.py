"""AICL training: a reference in other colours, cut and mirrored, so that only its action is worth reading."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from ..data.clips import fit

NONE, COLOUR, CROP, FLIP = LEAK_CONTROL = ("none", "colour", "colour and crop", "colour, crop and flip")
LEAST_SIDE = 0.8  # of the picture that a crop leaves
SATURATION, GAIN = 0.5, 0.25  # most that these factors differ from 1


def augmented(frames: Tensor, control: str, number: int) -> Tensor:
    """Variant ``number`` (from 1) of a clip ``[T, H, W, 3]`` in [0, 1], the same change in every frame.

    A function of pixels, control and number alone: the same clip at another place gives the same variants.

    Raises:
        ValueError: the control is not known.
    """
    if control not in LEAK_CONTROL:
        raise ValueError(f"leak_control is {control!r}; choose one of {', '.join(LEAK_CONTROL)}")
    generator = _generator(frames, number)
    level = LEAK_CONTROL.index(control)
    if level >= LEAK_CONTROL.index(COLOUR):
        frames = _coloured(frames, generator)
    if level >= LEAK_CONTROL.index(CROP):
        frames = _cropped(frames, generator)
    if level >= LEAK_CONTROL.index(FLIP) and float(torch.rand((), generator=generator)) < 0.5:
        frames = frames.flip(2)
    return frames.contiguous()


def _coloured(frames: Tensor, generator: torch.Generator) -> Tensor:
    """``g (grey + s R (x - grey))``: any hue, s within 0.5 to 1.5, g within 0.75 to 1.25; R turns around grey."""
    turn, saturation, gain = torch.rand(3, generator=generator).tolist()
    axis = torch.full((3,), 3**-0.5)
    cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3))  # rows are axis x e_i
    angle = 2 * math.pi * turn
    rotation = math.cos(angle) * torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * axis.outer(axis)
    grey = frames.mean(-1, keepdim=True)
    coloured = grey + (1 + SATURATION * (2 * saturation - 1)) * ((frames - grey) @ rotation)
    return (coloured * (1 + GAIN * (2 * gain - 1))).clamp(0, 1)


def _cropped(frames: Tensor, generator: torch.Generator) -> Tensor:
    """A part of at least 0.8 of each side, enlarged to the whole."""
    height, width = frames.shape[1:3]
    side, down, across = torch.rand(3, generator=generator).tolist()
    part = LEAST_SIDE + (1 - LEAST_SIDE) * side
    rows, columns = max(1, round(height * part)), max(1, round(width * part))
    top, left = round((height - rows) * down), round((width - columns) * across)
    return fit(frames[:, top : top + rows, left : left + columns], width, height)


def _generator(frames: Tensor, number: int) -> torch.Generator:
    pixels = (frames.clamp(0, 1) * 255).round().to(torch.uint8).contiguous()
    digest = hashlib.sha256(f"jitter {number} {list(pixels.shape)}".encode() + pixels.numpy().tobytes()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
