"""One clip of the graph as a sample of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ....training.data.cut import Cut
from ....training.data.dataset import Dataset, add_footage
from .images import footage


def add_clip(
    dataset: Dataset | None,
    target: Any,
    caption: str,
    *,
    conditions: Sequence[Any],
    reference: Any,
    reference_caption: str,
    fps: float,
    background: str,
    resample_to: float,
    cut: Cut,
) -> Dataset:
    """Append what is on a node's IMAGE and VIDEO sockets; the first sample decides size and rate.

    Args:
        dataset: What is appended to; its size and rate are kept. None begins one.
        target: The clip to learn, of which ``cut`` is taken.
        caption: What it shows.
        conditions: What it is made from.
        reference: Another clip of the action, or None.
        reference_caption: What that shows.
        fps: Frames a second of IMAGE batches; 0 for the dataset's.
        background: Seen through transparent parts.
        resample_to: Frames a second of a dataset that begins here; 0 for the target's own.
        cut: Part and size of the target.

    Raises:
        ValueError: a clip cannot be read, or the connected dataset has another size or rate than is asked for.
    """
    if dataset is not None:
        _check_agreement(dataset, resample_to, cut)
    rate = dataset.fps if dataset is not None else resample_to or None
    first = footage(target, rate, background, cut, fps or None)
    if len(first.frames) < cut.frames:
        first = replace(first, notes=(*first.notes, f"{len(first.frames)} frames, not the {cut.frames} asked for"))
    rate = rate or first.fps or fps or None
    return add_footage(
        dataset,
        first,
        caption,
        [footage(condition, rate, background) for condition in conditions],
        None if reference is None else footage(reference, rate, background),
        reference_caption,
        fps,
        background,
        resample_to or None,
    )


def _check_agreement(dataset: Dataset, resample_to: float, cut: Cut) -> None:
    """Refuse what the connected dataset has decided otherwise."""
    if resample_to and resample_to != dataset.fps:
        raise ValueError(
            f"the connected dataset has {dataset.fps:g} frames a second and resample_to is {resample_to:g}; set "
            "resample_to to 0 here"
        )
    if cut.size and cut.size != (dataset.width, dataset.height):
        raise ValueError(
            f"the connected dataset has {dataset.width}x{dataset.height} pixels and this clip asks for "
            f"{cut.size[0]}x{cut.size[1]}; set width and height to 0 here"
        )
