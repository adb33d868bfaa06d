"""Draw the demo's contact sheet: a row a clip, its frames across time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

FRAMES = 8  # of every clip, evenly spread from the first to the last
SCALE = 2  # screen pixels a pixel of a clip
GAP = 4
LABEL = 200  # width of the names at the left
HEAD = 22  # height of a sample's title
PAPER, INK, FAINT, GOOD, BAD = (255, 255, 255), (20, 20, 20), (110, 110, 110), (0, 120, 50), (180, 30, 30)


@dataclass(frozen=True)
class Row:
    """One clip of the sheet."""

    title: str
    verdict: str  # drawn below the title
    clip: np.ndarray  # [T, H, W, 3] in [0, 1]
    condition: np.ndarray | None = None  # [H, W, 3] in [0, 1]; given with the first row of a sample
    caption: str = ""  # of the sample, drawn above its first row


def picks(count: int, wanted: int = FRAMES) -> list[int]:
    """Numbers of the frames to show of ``count``, the first and the last among them."""
    return [int(number) for number in np.linspace(0, count - 1, min(wanted, count)).round()]


def draw_sheet(rows: list[Row]) -> Image.Image:
    """The whole sheet.

    Raises:
        ValueError: There is nothing to draw, or the clips differ in size.
    """
    from PIL import Image, ImageDraw

    if not rows or len({row.clip.shape[1:] for row in rows}) > 1:
        raise ValueError(f"a contact sheet needs clips of one size, it got {[r.clip.shape for r in rows]}")
    height, width = (SCALE * size for size in rows[0].clip.shape[1:3])
    heads = sum(bool(row.caption) for row in rows)
    size = (LABEL + (FRAMES + 1) * (width + GAP) + GAP, len(rows) * (height + GAP) + heads * HEAD + GAP)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for row in rows:
        if row.caption:
            draw.text((GAP, top + 4), f'condition, then "{row.caption}"', fill=INK)
            top += HEAD
        _draw_row(sheet, draw, row, top, width + GAP)
        top += height + GAP
    return sheet


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: Row, top: int, step: int) -> None:
    """Names, the condition where there is one, and the frames with their numbers."""
    draw.text((GAP, top + 8), row.title, fill=INK)
    draw.text((GAP, top + 26), row.verdict, fill=GOOD if row.verdict == "all right" else BAD)
    if row.condition is not None:
        sheet.paste(_picture(row.condition), (LABEL, top))
    for place, number in enumerate(picks(len(row.clip)), 1):
        left = LABEL + place * step + GAP
        sheet.paste(_picture(row.clip[number]), (left, top))
        draw.text((left + 3, top + 1), str(number), fill=FAINT)


def _picture(frame: np.ndarray) -> Image.Image:
    """A frame ``[H, W, 3]`` in [0, 1], enlarged without smoothing."""
    from PIL import Image

    pixels = (np.clip(frame, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels.repeat(SCALE, 0).repeat(SCALE, 1))
