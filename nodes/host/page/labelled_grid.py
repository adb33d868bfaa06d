"""Videos in rows and columns as one video, with words beside, above and in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ....methods.frames import resize

Place = tuple[int, int]  # row and column, from 0
PAPER, INK, MARK = (24, 24, 24), (235, 235, 235), (240, 180, 40)
GAP, LINE, BORDER = 6, 18, 3  # pixels between videos, of a line of words, of the frame around the best
CHARACTER = 7  # width of a character of PIL's font at 12 points, pixels
EVEN = 2  # video codecs take even sizes only


def labelled_grid(
    videos: Mapping[Place, Tensor],
    rows: Sequence[str],
    columns: Sequence[str],
    words: Mapping[Place, str],
    marked: Place,
    width: int,
) -> Tensor:
    """One video ``[T, H, W, 3]`` in [0, 1], as long as the longest; a shorter one stands still at its end.

    Args:
        videos: ``[T, H, W, C]`` by their places, of any size; each is fitted into that of the first.
        rows: What stands in front of the rows.
        columns: What stands above the columns.
        words: What stands below a video.
        marked: The one with a frame around it, and a star.
        width: Of a video, pixels.
    """
    first = next(iter(videos.values()))
    height = max(1, round(width * first.shape[1] / first.shape[2]))
    left = GAP + CHARACTER * max(map(len, rows))
    size = (_even(left + len(columns) * (width + GAP)), _even(LINE + len(rows) * (height + LINE + GAP)))
    corners = {place: (left + place[1] * (width + GAP), LINE + place[0] * (height + LINE + GAP)) for place in videos}
    paper = _paper(size, (width, height), corners, rows, columns, words, marked, left)
    length = max(map(len, videos.values()))
    frames = paper[None].repeat(length, 1, 1, 1)
    for place, video in videos.items():
        x, y = corners[place]
        small = resize(video[..., :3], width, height)
        last = small[-1:].expand(length - len(small), -1, -1, -1)
        frames[:, y : y + height, x : x + width] = torch.cat([small, last])
    return frames


def _even(pixels: int) -> int:
    return pixels + pixels % EVEN


def _paper(
    size: tuple[int, int], video: tuple[int, int], corners: Mapping[Place, tuple[int, int]], rows: Sequence[str],
    columns: Sequence[str], words: Mapping[Place, str], marked: Place, left: int,
) -> Tensor:  # fmt: skip
    """What stays the same in all frames, ``[H, W, 3]``: words, and the frame around the marked one."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=12)
    for row, text in enumerate(rows):
        middle = LINE + row * (video[1] + LINE + GAP) + video[1] // 2
        draw.text((left - GAP, middle), text, fill=INK, font=font, anchor="rm")
    for column, text in enumerate(columns):
        draw.text((left + column * (video[0] + GAP) + video[0] // 2, LINE // 2), text, fill=INK, font=font, anchor="mm")
    for place, (x, y) in corners.items():
        best = place == marked
        if best:
            draw.rectangle([x - BORDER, y - BORDER, x + video[0] + BORDER - 1, y + video[1] + BORDER - 1], fill=MARK)
        text = f"best: {words[place]}" if best else words[place]
        middle = (x + video[0] // 2, y + video[1] + BORDER + LINE // 2)
        draw.text(middle, text, fill=MARK if best else INK, font=font, anchor="mm")
    return torch.from_numpy(np.asarray(image).copy()).float() / 255
