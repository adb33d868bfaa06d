"""Moving pictures for the README and the help pages: what goes in at the left, what comes out at the right."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from host_setup.pins import HostError, say

from workflow_files.pictures.sheet import ACCENT, INK, PAPER

CELL, MARGIN, GAP, ARROW = 128, 8, 8, 32  # pixels; the toy's frames are half as high as a cell
LETTERS = 15
MILLISECONDS = 83  # of a frame: 12 a second
PAUSE = 600  # at the end, before it begins again
LIMIT = 60_000  # bytes: help pages are part of what users install
# Which workflows have one, and its name. They show the clip and the seed that each workflow comes with, from one run:
# of one-shot motion and Tune-A-Video the first clip of seed 0, of AICL the first seed of a figure eight, of TIC-FT a
# still that a LoRA gets right in the demo and the base alone does not.
NAMES = {
    "tic_ft_image_to_video_toy": "tic_ft_moving",
    "tune_a_video_toy": "tune_a_video_moving",
    "motion_toy": "motion_moving",
    "aicl_toy": "aicl_moving",
}


def moving(taken: list[list[Any]], taken_words: str, made: list[Any], made_words: str) -> list[Any]:
    """Frames that show clips (lists of Pillow images) side by side; a still stays, a short clip waits at its end."""
    count = max(len(clip) for clip in [*taken, made])
    cells = [[_enlarged(frame) for frame in clip] for clip in [*taken, made]]
    return [_frame([clip[min(i, len(clip) - 1)] for clip in cells], (taken_words, made_words)) for i in range(count)]


def _enlarged(frame: Any) -> Any:
    from PIL import Image

    return frame.convert("RGB").resize((round(frame.width * CELL / frame.height), CELL), Image.Resampling.BICUBIC)


def _frame(cells: list[Any], words: tuple[str, str]) -> Any:
    """Cells in a row, an arrow before the last one, and words above both parts."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=LETTERS)
    *taken, made = cells
    widths = [max(_width(part), round(font.getlength(text))) for part, text in zip((taken, [made]), words, strict=True)]
    top = MARGIN + LETTERS + GAP
    picture = Image.new("RGB", (2 * MARGIN + sum(widths) + ARROW, top + CELL + MARGIN), PAPER)
    draw = ImageDraw.Draw(picture)
    left = MARGIN
    for part, text, width in zip((taken, [made]), words, widths, strict=True):
        draw.text((left + width // 2, MARGIN), text, INK, font, anchor="ma")
        x = left + (width - _width(part)) // 2
        for cell in part:
            picture.paste(cell, (x, top))
            x += cell.width + GAP
        left += width + ARROW
    x, y = MARGIN + widths[0] + ARROW // 2, top + CELL // 2
    draw.polygon([(x - 7, y - 11), (x - 7, y + 11), (x + 9, y)], ACCENT)
    return picture


def _width(cells: list[Any]) -> int:
    return sum(cell.width for cell in cells) + GAP * (len(cells) - 1)


def save(frames: list[Any], path: Path) -> None:
    """Write an animated webp that repeats, below the size limit.

    Raises:
        HostError: no quality is small enough.
    """
    times = [MILLISECONDS] * (len(frames) - 1) + [PAUSE]
    for quality in (80, 65, 50, 35, 20):
        buffer = io.BytesIO()
        form = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
        frames[0].save(buffer, "WEBP", quality=quality, method=6, minimize_size=True, **form)
        if buffer.tell() <= LIMIT:
            break
    else:
        raise HostError(f"{path.name} has {buffer.tell()} bytes, more than {LIMIT}")
    path.write_bytes(buffer.getvalue())
    say(f"wrote {path.name}, {buffer.tell() // 1000} kB, quality {quality}")
