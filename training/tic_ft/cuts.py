"""TIC-FT training: frames of targets and conditions that no latent holds, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...methods import tic_ft_tasks
from ...methods.tic_ft import Layout
from ..data.clips import clip_length
from .buckets import COMPRESSION, layout_for, target_frames

if TYPE_CHECKING:
    from ..data.dataset import Dataset

NAMED = 8  # clips that a sentence names


def cut_frames(task: str, dataset: Dataset, layouts: Sequence[Layout], compression: int = COMPRESSION) -> list[str]:
    """What of the data set's clips is left out, a sentence each; the conditions of each clip are looked at.

    Raises:
        ValueError: the conditions of a clip do not suit the task.
    """
    return [*_cut_targets(dataset, layouts, compression), *_cut_conditions(task, dataset, layouts[0], compression)]


def _cut_targets(dataset: Dataset, layouts: Sequence[Layout], compression: int) -> list[str]:
    sentences = []
    for bucket in dataset.buckets():
        layout = layout_for(bucket.frames, layouts, compression)
        if trimmed := bucket.frames - target_frames(layout, compression):
            rest = f"{layout.target} latents hold the rest"
            sentences.append(f"the last {trimmed} of {bucket.frames} target frames are left out: {rest}")
    return sentences


def _cut_conditions(task: str, dataset: Dataset, layout: Layout, compression: int) -> list[str]:
    if not layout.prefix:
        return []
    names: dict[tuple[int, int, int], list[str]] = {}  # of clips, by condition, its frames and those used
    for i, sample in enumerate(dataset.samples, 1):
        lengths, name = [clip_length(clip) for clip in sample.conditions], sample.name or f"clip {i}"
        counts = (layout.condition, layout.buffer, compression)
        try:
            used = tic_ft_tasks.used_frames(task, lengths, *counts, places=tic_ft_tasks.FILES)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        for number, (length, kept) in enumerate(zip(lengths, used, strict=True), 1):
            if kept < length:
                names.setdefault((number, length, kept), []).append(name)
    return [
        f"the last {length - kept} of {length} frames of condition {number} are left out: '{task}' holds {kept} of it "
        f"in {layout.condition} condition and {layout.buffer} buffer latents ({_listed(clips)})"
        for (number, length, kept), clips in names.items()
    ]


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
