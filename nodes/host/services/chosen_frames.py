"""Frames of a clip on an IMAGE or VIDEO socket picked by their numbers; of a file read here no others are held."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....training.data.chosen import Choose, read_chosen
from .images import file_of, frames_in_memory, opaque, tell_notes, window_of


def chosen_frames(value: Any, choose: Choose, what: str) -> tuple[Tensor, int]:
    """Frames ``[T, H, W, C]`` in [0, 1] at the clip's own rate, and how many it has; ``what`` it is, for the log.

    Raises:
        ValueError: it cannot be read.
    """
    source = None if isinstance(value, Tensor) else file_of(value)
    if source is not None:
        found = read_chosen(source, choose, window_of(value))
        tell_notes(found, what)
        return found.frames, found.whole
    frames = frames_in_memory(value)
    return opaque(frames[torch.tensor(choose(len(frames)))], what), len(frames)
