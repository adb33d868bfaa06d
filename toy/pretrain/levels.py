"""Noise levels of a batch: one for all frames of a clip, or some of its first frames clean or less noisy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEVELS = ("one", "per frame")  # as Wan 2.1 and CogVideoX are trained, and as Wan 2.2 5B and LTX-Video
PREFIXED = 0.75  # share of the batches in which every clip has a prefix, with levels per frame
CLEAN = 0.7  # share of the prefixes that are clean; the others have a random share of the clip's level


def draw_levels(levels: str, count: int, frames: int, shift: float, rng: np.random.Generator) -> tuple[Tensor, bool]:
    """Levels of ``count`` clips of ``frames`` latents, and whether they go on from a prefix.

    A clip's level is ``shift u / (1 + (shift - 1) u)`` for u spread evenly over (0, 1). A prefix has 1 to half of
    the frames.

    Returns:
        ``[B]`` with one level for all frames, else ``[B, T]``; the network knows what it gets.

    Raises:
        ValueError: ``levels`` is not in ``LEVELS``.
    """
    if levels not in LEVELS:
        raise ValueError(f"levels are {levels!r}; use one of {', '.join(LEVELS)}")
    uniform = (rng.permutation(count) + rng.random(count)) / count
    sigma = torch.from_numpy(shift * uniform / (1 + (shift - 1) * uniform)).float()
    if levels == LEVELS[0]:
        return sigma, False
    sigma = sigma[:, None].repeat(1, frames)
    if frames == 1 or rng.random() >= PREFIXED:
        return sigma, False
    lengths = torch.from_numpy(rng.integers(1, frames // 2 + 1, size=count))
    share = torch.from_numpy(np.where(rng.random(count) < CLEAN, 0.0, rng.random(count))).float()
    prefix = torch.arange(frames) < lengths[:, None]
    return torch.where(prefix, sigma * share[:, None], sigma), True
