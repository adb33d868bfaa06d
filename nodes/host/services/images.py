"""Clips on IMAGE and VIDEO sockets."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from ....training.data.clips import resample

log = logging.getLogger(__name__)


def rate_of(value: Any) -> float | None:
    """Frames a second of a VIDEO; None for an IMAGE, which carries no rate."""
    return None if value is None or isinstance(value, Tensor) else _video_rate(value)


def frames_of(value: Any, fps: float | None = None, roles: tuple[str, str] = ("condition", "LoRA's")) -> Tensor | None:
    """As ``connected_frames``; None where nothing is connected."""
    return None if value is None else connected_frames(value, fps, roles)


def connected_frames(value: Any, fps: float | None = None, roles: tuple[str, str] = ("condition", "LoRA's")) -> Tensor:
    """Frames ``[T, H, W, C]`` in [0, 1] of an IMAGE or a VIDEO.

    A VIDEO of another rate than ``fps`` (frames a second) is resampled to it; an IMAGE carries no rate.
    ``roles`` say in the log what is resampled, and to whose rate.
    """
    if isinstance(value, Tensor):
        return value
    frames = value.get_components().images
    # A still has no rate: more frames a second must not make a clip of it.
    if fps is None or len(frames) < 2:
        return frames
    rate = _video_rate(value)
    if abs(rate - fps) <= 0.01 * fps:  # as when a folder is read
        return frames
    out = resample(frames, rate, fps)
    what, whose = roles
    log.info("a %s of %g fps is taken at the %s %g fps: %d of %d frames", what, rate, whose, fps, len(out), len(frames))
    return out


def _video_rate(video: Any) -> float:
    return float(video.get_frame_rate() if hasattr(video, "get_frame_rate") else video.get_components().frame_rate)
