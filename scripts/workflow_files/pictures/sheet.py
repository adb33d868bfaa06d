"""A picture of what goes in and what comes out: a row of frames, an arrow, and another row, each with its words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from host_setup.pins import say

SIDE, MARGIN, GAP, ARROW = 512, 14, 8, 40  # pixels; the cards of the template browser are square
LETTERS = 26
PAPER, INK, ACCENT = (24, 26, 30), (226, 228, 232), (88, 160, 255)
LIMIT = 200_000  # bytes
WIDE = 2.0  # width over height of a frame from which rows are stacks
TALL = 0.8  # and below which one frame stands to the right of what goes in


def sheet(taken: list[Any], taken_words: str, made: list[Any], made_words: str, model: str = "") -> Any:
    """The picture: frames as Pillow images, a few words for each row, and what makes one of the other."""
    picture, draw, font = _empty()
    words = LETTERS + GAP
    room = SIDE - 2 * MARGIN - ARROW - 2 * words
    height = room // 2
    top = MARGIN
    for frames, text in ((taken, taken_words), (made, made_words)):
        draw.text((SIDE // 2, top), text, INK, font, anchor="ma")
        _row(picture, frames, top + words, height)
        top += words + height + ARROW
    middle = MARGIN + words + height + ARROW // 2
    draw.polygon([(SIDE // 2 - 16, middle - 9), (SIDE // 2 + 16, middle - 9), (SIDE // 2, middle + 11)], ACCENT)
    draw.text((SIDE - MARGIN, middle), model, ACCENT, font, anchor="rm")
    return picture


def sheet_beside(taken: list[Any], taken_words: str, made: Any, made_words: str) -> Any:
    """The picture with one tall frame of what comes out to the right of what goes in."""
    picture, draw, font = _empty()
    top, height = MARGIN + LETTERS + GAP, SIDE - 2 * MARGIN - LETTERS - GAP
    draw.text((MARGIN, MARGIN), taken_words, INK, font)
    draw.text((SIDE - MARGIN, MARGIN), made_words, INK, font, anchor="ra")
    width = round(height * made.width / made.height)
    _row(picture, [made], top, height, SIDE - MARGIN - width, width)
    tip = SIDE - MARGIN - width - GAP
    _row(picture, taken, top, height, MARGIN, tip - ARROW - MARGIN)
    middle = top + height // 2
    draw.polygon([(tip - 20, middle - 16), (tip - 20, middle + 16), (tip, middle)], ACCENT)
    return picture


def _empty() -> tuple[Any, Any, Any]:
    """A picture with nothing on it, what draws on it, and the letters."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    return picture, ImageDraw.Draw(picture), ImageFont.load_default(size=LETTERS)


def _row(
    picture: Any, frames: list[Any], top: int, height: int, left: int = MARGIN, room: int = SIDE - 2 * MARGIN
) -> None:
    """Frames side by side, or on top of each other where they are wide, as large as they fit."""
    from PIL import Image

    shape = frames[0].width / frames[0].height
    across, down = (1, len(frames)) if shape > WIDE else (len(frames), 1)
    width = min((room - GAP * (across - 1)) // across, int((height - GAP * (down - 1)) / down * shape))
    size = (width, round(width / shape))
    left += (room - across * width - GAP * (across - 1)) // 2
    top += (height - down * size[1] - GAP * (down - 1)) // 2
    for i, frame in enumerate(frames):
        place = (left + (i % across) * (width + GAP), top + (i // across) * (size[1] + GAP))
        way = Image.Resampling.NEAREST if size[0] > 2 * frame.width else Image.Resampling.LANCZOS
        picture.paste(frame.convert("RGB").resize(size, way), place)


def spread(frames: list[Any], count: int) -> list[Any]:
    """So many of the frames, evenly spread from the first to the last; all of fewer."""
    if len(frames) <= count:
        return frames
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)] if count > 1 else frames[:1]


def save(picture: Any, path: Path) -> None:
    """Write a jpg below the size limit."""
    for quality in (90, 80, 65, 50):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < LIMIT:
            break
    path.write_bytes(buffer.getvalue())
    say(f"wrote {path.name}, {buffer.tell() // 1000} kB")
