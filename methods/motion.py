"""One-shot motion: losses that look at how frames differ from each other, and sparse frames at their true position ids.

A clip's appearance is the same in all its frames, its motion is what differs between them. All functions take what a
network predicts or should predict, ``[B, C, T, H, W]``: noise, a flow's velocity or that of a VP diffusion.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BETA = 1.0  # strength of the anchor frame, the value of MotionDirector


def debiased(x: Tensor, anchor: Tensor, beta: float = BETA) -> Tensor:
    """Frames without what they share with one of them: ``phi(x_i) = sqrt(beta^2 + 1) x_i - beta x_anchor``.

    Args:
        x: ``[B, C, T, H, W]``.
        anchor: the frame of each clip that stands for its look, ``[B]``, 0 to T - 1.
        beta: how much of it is taken off, 0 or more; 0 changes nothing. For independent frames of unit variance each
            result but the anchor's has the variance 1 + 2 beta^2.

    Returns:
        As ``x``.

    Raises:
        ValueError: beta is negative or no number, or an anchor is no frame of the clip.

    Source: MotionDirector, arXiv 2310.08465 (its appearance-debiased temporal loss).
    """
    if not (math.isfinite(beta) and beta >= 0.0):
        raise ValueError(f"beta is {beta!r}; give 0 or more")
    frames = x.shape[2]
    if anchor.shape != x.shape[:1] or int(anchor.min()) < 0 or int(anchor.max()) >= frames:
        raise ValueError(f"anchor frames {anchor.tolist()} were given for {len(x)} clips of {frames} frames; give one "
                         f"of 0 to {frames - 1} a clip")  # fmt: skip
    first = x[torch.arange(len(x), device=x.device), :, anchor.to(x.device)]  # B C H W
    return math.hypot(1.0, beta) * x - beta * first[:, :, None]


def debiased_loss(prediction: Tensor, target: Tensor, anchor: Tensor, beta: float = BETA) -> Tensor:
    """``mean |phi(prediction) - phi(target)|^2`` of each clip, ``[B]``; phi is ``debiased``, which is linear.

    Raises:
        ValueError: as ``debiased``.

    Source: MotionDirector, arXiv 2310.08465 (its appearance-debiased temporal loss).
    """
    return debiased(prediction - target, anchor, beta).square().flatten(1).mean(1)


def direction_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Whether frames change the right way: ``mean_i (1 - cos(d_i prediction, d_i target))``, ``[B]`` in [0, 2].

    ``d_i x = x_(i+1) - x_i`` is one vector of all channels and pixels of a pair of frames. How long it is does not
    count, and neither does anything that all frames share.

    Args:
        prediction: ``[B, C, T, H, W]``, T of 2 or more.
        target: of the same shape.

    Raises:
        ValueError: there is but one frame.

    Source: Follow-Your-Motion, arXiv 2506.05207 (its loss on frame-differenced velocities); before it the residual
        vectors of VMC, arXiv 2312.00845.
    """
    if prediction.shape[2] < 2:
        raise ValueError("the clip has one latent frame and no motion; use a longer one")
    moved, wanted = (x.diff(dim=2).movedim(2, 1).flatten(2) for x in (prediction, target))  # B T-1 CHW
    return (1.0 - F.cosine_similarity(moved, wanted, dim=2)).mean(1)


def sparse_stride(frames: int, most: int) -> int:
    """The smallest whole step with which at most ``most`` of ``frames`` frames are taken: ``ceil(frames / most)``.

    Raises:
        ValueError: fewer than 2 frames would be taken, which show no motion.

    Source: Follow-Your-Motion, arXiv 2506.05207, which trains on about 17 of 81 frames.
    Differs: a whole step, so that the position ids are exact; theirs spread the frames over the clip.
    """
    if most < 2 or frames < 2:
        raise ValueError(f"{most} of {frames} latent frames were asked for; motion needs at least 2 of 2")
    return -(-frames // most)


def sparse_count(frames: int, stride: int) -> int:
    """How many of ``frames`` frames a step takes from the first one on: ``ceil(frames / stride)``."""
    return -(-frames // stride)
