"""Transparent pictures laid over a background, so that what is hidden is not learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .options import BACKGROUNDS

if TYPE_CHECKING:
    from PIL.Image import Image

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave alpha out


def over_background(picture: np.ndarray, background: str) -> tuple[np.ndarray, bool]:
    """Lay uint8 RGBA [H, W, 4] over a background: uint8 RGB [H, W, 3], and whether any of it was transparent."""
    if picture[..., 3].min() == 255:
        return np.ascontiguousarray(picture[..., :3]), False
    from PIL import Image

    return np.array(flattened(Image.fromarray(picture, "RGBA"), background)), True


def flattened(picture: Image, background: str) -> Image:
    """An RGBA picture of Pillow over a background, as RGB."""
    from PIL import Image

    paper = Image.new("RGBA", picture.size, (*BACKGROUNDS[background], 255))
    return Image.alpha_composite(paper, picture).convert("RGB")


def transparency_note(background: str) -> str:
    """What is said of it."""
    return f"transparent, laid over {background}"
