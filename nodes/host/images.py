"""Clips on IMAGE and VIDEO sockets."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from ...training.clips import resample

log = logging.getLogger(__name__)


def frames_of(value: Any, fps: float | None = None) -> Tensor | None:
    """Frames ``[T, H, W, C]`` in [0, 1] of an IMAGE or a VIDEO; None where nothing is connected.

    A VIDEO of another rate than ``fps`` (frames a second) is resampled to it; an IMAGE carries no rate.
    """
    if value is None or isinstance(value, Tensor):
        return value
    components = value.get_components()
    frames = components.images
    # A still has no rate: more frames a second must not make a clip of it.
    if fps is None or len(frames) < 2:
        return frames
    rate = float(value.get_frame_rate() if hasattr(value, "get_frame_rate") else components.frame_rate)
    if abs(rate - fps) <= 0.01 * fps:  # as when a folder is read
        return frames
    out = resample(frames, rate, fps)
    log.info("a condition of %g fps is taken at the LoRA's %g fps: %d of %d frames", rate, fps, len(out), len(frames))
    return out
