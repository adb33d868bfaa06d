"""The scores that have a value for each frame, as curves over the frames: where in a clip something happens."""

from __future__ import annotations

import torch
from torch import Tensor

from . import image_scores
from .video_scores import MOST_CONDITIONS, MOTION, changes, cosines, each, patches_kept, planes, shrink


def curves(video: Tensor, reference: Tensor | None = None, condition: Tensor | None = None) -> dict[str, Tensor]:
    """Values by frame ``[T]``, or by pair of neighbours ``[T - 1]``; each curve's mean is the score of that name.

    Args:
        video: ``[T, H, W, C]`` in [0, 1].
        reference: a clip that is compared frame by frame, for ``ssim``.
        condition: pictures, for ``condition_fidelity``; for each frame the best one counts.

    Raises:
        ValueError: an input holds NaN or infinity.
    """
    height, width = video.shape[1:3]
    clip = planes(video, "video", width, height)
    found: dict[str, Tensor] = {}
    if len(clip) > 1:
        found["frame_consistency"] = cosines(clip).diagonal(1)
        found["flicker"] = changes(clip)
    if condition is not None:
        picks = torch.linspace(0, len(condition) - 1, min(len(condition), MOST_CONDITIONS)).round().long()
        pictures = planes(condition[picks.tolist()], "condition", width, height).to(clip)
        found["condition_fidelity"] = patches_kept(shrink(clip, MOTION), shrink(pictures, MOTION))
    if reference is not None:
        other = planes(reference[: len(clip)], "reference", width, height).to(clip)
        found["ssim"] = each(image_scores.ssim, clip[: len(other)], other)
    return found
