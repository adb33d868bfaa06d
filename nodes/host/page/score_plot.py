"""The curves of a scored video as a picture: one strip a metric, frames from left to right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....methods.metrics import METRICS

WIDTH, STRIP, HEAD, FOOT = 640, 96, 8, 26  # pixels
LEFT, RIGHT = 64, 16
INK, GRID, PAPER, LINE = (40, 40, 40), (225, 225, 225), (255, 255, 255), (0, 114, 178)
TITLE = 18  # height of a strip's title
LEAST = 1e-3  # span of a strip's scale at least, so that noise of rounding is no curve


def score_plot(curves: Mapping[str, Tensor], frames: int) -> Tensor:
    """Picture ``[1, H, W, 3]`` in [0, 1]; a curve of neighbours stands between its two frames.

    Args:
        curves: Values ``[T]`` or ``[T - 1]`` by metric, in the order in which they are drawn.
        frames: T of the video.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (WIDTH, HEAD + STRIP * max(1, len(curves)) + FOOT), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=12)
    if not curves:
        draw.text((LEFT, HEAD), "a single frame has no curve", fill=INK, font=font)
    for i, (name, values) in enumerate(curves.items()):
        _strip(draw, font, HEAD + i * STRIP, name, values.tolist(), frames)
    bottom = HEAD + STRIP * max(1, len(curves)) + 6
    for frame in sorted({0, (frames - 1) // 2, frames - 1}):
        draw.text((_x(frame, frames), bottom), f"frame {frame}", fill=INK, font=font, anchor="ma")
    return torch.from_numpy(np.asarray(image).copy())[None].float() / 255


def _x(frame: float, frames: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * frame / max(1, frames - 1)


def _strip(draw: Any, font: Any, top: int, name: str, values: list[float], frames: int) -> None:
    """One curve on a scale of its own, from its lowest value to its highest."""
    low, high = min(values), max(values)
    middle, span = (low + high) / 2, max(high - low, LEAST)
    low, high = middle - span / 2, middle + span / 2
    upper, lower = top + TITLE, top + STRIP - 10
    better = {"higher": "higher is better", "lower": "lower is better"}.get(METRICS[name].better, "")
    draw.text((LEFT, top), f"{name}, mean {sum(values) / len(values):.3f} ({better})", fill=INK, font=font)
    for y, value in ((upper, high), (lower, low)):
        draw.line([(LEFT, y), (WIDTH - RIGHT, y)], fill=GRID)
        draw.text((LEFT - 6, y), f"{value:.3f}", fill=INK, font=font, anchor="rm")
    shift = 0.5 if len(values) < frames else 0.0
    spots = [(_x(i + shift, frames), lower - (value - low) / span * (lower - upper)) for i, value in enumerate(values)]
    if len(spots) == 1:
        (x, y), r = spots[0], 3
        draw.ellipse([x - r, y - r, x + r, y + r], fill=LINE)
    draw.line(spots, fill=LINE, width=2)
