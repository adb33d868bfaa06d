"""Clips on IMAGE and VIDEO sockets."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from ....training.data.clips import check_frames, resample

log = logging.getLogger(__name__)
MOST_FPS = 10_000.0  # frames a second


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
    frames = _components(value).images
    check_frames(frames)
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
    try:
        rate = float(video.get_frame_rate() if hasattr(video, "get_frame_rate") else _components(video).frame_rate)
    except (ArithmeticError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise _broken(error) from error
    if not 0.0 < rate < MOST_FPS:
        raise ValueError(f"the video says it has {rate:g} frames a second; save it again with a usual rate")
    return rate


def _components(video: Any) -> Any:
    """A VIDEO decoded.

    Raises:
        ValueError: its file is gone or damaged.
    """
    try:
        return video.get_components()
    except Exception as error:  # of PyAV, the system, or whoever made the VIDEO
        if type(error).__name__ == "InterruptProcessingException":
            raise
        raise _broken(error) from error


def _broken(error: Exception) -> ValueError:
    return ValueError(f"the video cannot be decoded ({error}); check the file, or save it again as an MP4")
