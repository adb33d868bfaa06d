"""Clips on IMAGE and VIDEO sockets."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def frames_of(value: Any) -> Tensor | None:
    """Frames ``[T, H, W, C]`` in [0, 1] of an IMAGE or a VIDEO; None where nothing is connected."""
    if value is None or isinstance(value, Tensor):
        return value
    return value.get_components().images

