"""Fitting pictures of any size into the size a model works at."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

RESIZE_MODES = ("crop", "pad", "stretch")


def resize(frames: Tensor, width: int, height: int, mode: str = "crop") -> Tensor:
    """Fit frames into ``width`` x ``height`` pixels; untouched where the size is right already.

    Args:
        frames: ``[T, H, W, C]`` in [0, 1].
        width: wanted width in pixels.
        height: wanted height in pixels.
        mode: ``crop`` covers the area and cuts what sticks out, ``pad`` shows all of the picture and
            fills the rest with black, ``stretch`` changes the aspect ratio.

    Returns:
        Frames ``[T, height, width, C]``, bicubic with antialiasing.

    Raises:
        ValueError: the mode is not known.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize mode {mode!r} is not known; use one of {', '.join(RESIZE_MODES)}")
    old_height, old_width = frames.shape[1:3]
    if (old_width, old_height) == (width, height):
        return frames
    across, down = width / old_width, height / old_height
    if mode != "stretch":
        across = down = max(across, down) if mode == "crop" else min(across, down)
    size = (max(1, round(old_height * down)), max(1, round(old_width * across)))
    if size != (old_height, old_width):
        planes = frames.movedim(-1, 1)  # T H W C -> T C H W
        planes = F.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        frames = planes.movedim(1, -1)  # T C H W -> T H W C
    return _centre(frames, width, height).contiguous()


def _centre(frames: Tensor, width: int, height: int) -> Tensor:
    """Cut or pad with black around the centre; of an odd number the right or the bottom gets one more."""
    across, down = width - frames.shape[2], height - frames.shape[1]
    left, top = int(across / 2), int(down / 2)  # towards zero, so that cuts and pads are halved alike
    # torch pads from the last dimension on: channels, then width, then height; negative pads cut.
    return F.pad(frames, (0, 0, left, across - left, top, down - top))
