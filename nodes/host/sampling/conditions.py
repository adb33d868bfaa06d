"""The conditions of a TIC-FT context, as much of each as its task can use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ....methods.tic_ft import pixel_frames
from ..model.families import Family
from ..services.images import leading_frames
from .context import ContextRequest, layout_of

ANY_LENGTH = 10**6  # frames


def read_conditions(clips: Iterable[Any], request: ContextRequest, family: Family) -> tuple[list[Tensor], list[int]]:
    """The first frames ``[T, H, W, C]`` in [0, 1] of each connected clip, and how many it has.

    Raises:
        ValueError: a clip cannot be read, or a number does not fit.
    """
    connected = [clip for clip in clips if clip is not None]
    most = usable_frames(request, family) if connected else None
    read = [leading_frames(clip, most, request.settings.get("fps")) for clip in connected]
    return [frames for frames, _ in read], [count for _, count in read]


def usable_frames(request: ContextRequest, family: Family) -> int | None:
    """Frames from a clip's start that tell all of a context; None where all of them count.

    They are one more than it can hold, so that it is known of a clip whether it is longer.

    Raises:
        ValueError: a number does not fit.
    """
    layout = layout_of(request, [], family)
    if layout != layout_of(request, [ANY_LENGTH], family):
        return None
    return 1 + pixel_frames(layout.prefix, family.compression)
