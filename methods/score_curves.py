"""The scores that have a value for each frame, as curves over the frames: where in a clip something happens."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from . import image_scores
from .video_scores import FOUND, MOST_CONDITIONS, MOTION, PIECE, planes, shrink


def curves(video: Tensor, reference: Tensor | None = None, condition: Tensor | None = None) -> dict[str, Tensor]:
    """Values by frame ``[T]``, or by pair of neighbours ``[T - 1]``; each curve's mean is the score of that name.

    Args:
        video: ``[T, H, W, C]`` in [0, 1].
        reference: a clip that is compared frame by frame, for ``ssim``.
        condition: pictures, for ``condition_fidelity``; the best one counts over the whole clip.

    Raises:
        ValueError: an input holds NaN or infinity.
    """
    height, width = video.shape[1:3]
    clip = planes(video, "video", width, height)
    found: dict[str, Tensor] = {}
    if len(clip) > 1:
        found["frame_consistency"] = _consistency(clip)
        found["flicker"] = torch.stack([(b - a).abs().mean() for a, b in pairwise(clip)])
    if condition is not None:
        picks = torch.linspace(0, len(condition) - 1, min(len(condition), MOST_CONDITIONS)).round().long()
        pictures = shrink(planes(condition[picks.tolist()], "condition", width, height).to(clip), MOTION)
        frames, tiny = shrink(shrink(clip, MOTION), FOUND), shrink(pictures, FOUND)
        scores = torch.stack([image_scores.patches_found(frames, picture) for picture in tiny.split(1)])
        found["condition_fidelity"] = scores.amax(0)
    if reference is not None:
        other = planes(reference[: len(clip)], "reference", width, height).to(clip)
        pieces = zip(clip[: len(other)].split(PIECE), other.split(PIECE), strict=True)
        found["ssim"] = torch.cat([image_scores.ssim(a, b) for a, b in pieces])
    return found


def _consistency(clip: Tensor) -> Tensor:
    """Cosine of neighbouring frames without the clip's mean colour."""
    flat = (clip - clip.mean((0, 2, 3), keepdim=True)).flatten(1)
    dots = torch.stack([(a * b).mean() for a, b in pairwise(flat)])
    lengths = flat.square().mean(1).sqrt()
    return image_scores.cosine(dots, lengths[:-1], lengths[1:])
