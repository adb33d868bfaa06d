"""The frames of a reference clip that are encoded; of a file no others are held."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from ....methods.tic_ft import latent_frames, pixel_frames
from ..services.chosen_frames import chosen_frames

SMALLEST = 16  # pixels; less than one token of any base


def read_reference(value: Any, limit: int, compression: int, latents: int | None = None) -> Tensor:
    """Frames ``[T, H, W, C]`` in [0, 1] of an IMAGE or a VIDEO, taken evenly from its first to its last.

    Args:
        value: the clip.
        limit: most of its frames; 0 for all of them that are whole latents.
        compression: frames a latent of the VAE stands for.
        latents: as many are filled, whatever the clip's length and the limit; None for its own.

    Raises:
        ValueError: it cannot be read, is too small, or has no motion.
    """

    def choose(count: int) -> list[int]:
        wanted = latents or latent_frames(min(count, limit or count), compression)
        return evenly(count, pixel_frames(wanted, compression))

    clip, count = chosen_frames(value, choose, "reference")
    if count < 2:
        raise ValueError("a reference of one frame has no motion; give a clip of at least 2 frames, better 17 or more")
    height, width = clip.shape[1:3]
    if min(height, width) < SMALLEST:
        raise ValueError(f"a reference is {width}x{height} pixels; give a clip of at least {SMALLEST} each way")
    if latents is None:
        _check_motion(count, limit, pixel_frames(2, compression))
    return clip


def _check_motion(count: int, limit: int, least: int) -> None:
    """Refuse frames of less than two latents.

    Raises:
        ValueError: the reference or the limit has fewer than ``least`` frames.
    """
    if count < least:
        raise ValueError(
            f"a reference of {count} frames becomes one latent, in which nothing moves; give at least {least} frames"
        )
    if 0 < limit < least:
        raise ValueError(
            f"max_frames is {limit}, which becomes one latent, in which nothing moves; set it to {least} or more, or "
            "to 0 for all"
        )


def evenly(count: int, wanted: int) -> list[int]:
    """Numbers of ``wanted`` of ``count`` frames from the first to the last, each the nearest in time."""
    return torch.linspace(0, count - 1, wanted).round().long().tolist()


def digest(clip: Tensor, caption: Tensor, encoder: str) -> str:
    """Identity of what is encoded: every pixel of it, its caption, and what encodes it."""
    found = hashlib.sha256(f"{encoder} {list(clip.shape)} {list(caption.shape)}".encode())
    for part in (*clip, caption):  # one frame after the other: what does not lie together in memory is copied
        found.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
