"""Tune-A-Video as its authors run it, where our defaults differ."""

from __future__ import annotations

from ...methods.tune_a_video import POOLED
from .recipe import FIXED, FrameWindow

AS_SET, AS_PUBLISHED = PRESETS = ("as set", "as published")
# Source: configs/ of showlab/Tune-A-Video, of which three of four take every second frame; tuneavideo/models/resnet.py,
# whose group norms pool over the frames; tuneavideo/util.py, which inverts on the timesteps 1, 21, ... 981.
WINDOW = FrameWindow(frames=24, stride=2, start=0, kind=FIXED)
GROUP_NORMS = POOLED
SCHEDULER = "ddim_uniform"  # the host's name of these timesteps


def is_published(preset: str) -> bool:
    """Whether everything is to be as published.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return preset == AS_PUBLISHED
