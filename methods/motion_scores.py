"""Scores of motion: how much, how well it explains the frames, and how much two clips move alike. No net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .image_scores import correlation
from .optical_flow import PIECE, Motion, at_points, follow, warp

FASTEST = 0.05  # share of the pixels, the fastest ones, that tell how much moves
STILL = 0.05  # pixels a frame; slower flow is taken for none
TRAVEL = 0.02  # share of the short side; a point whose whole path is shorter does not move
SEEDS = 32  # points along the short side whose paths are compared


def dynamic_degree(motion: Motion) -> float:
    """How fast the fastest 5 % of the pixels move, in percent of the short side a frame; 0 is a still.

    Neither better nor worse: a frozen clip has perfect consistency and no flicker, so this stands beside them.

    Source: VBench's dynamic degree, ``Vchitect/VBench``.
    Differs: the mean over all pairs of frames instead of the share of clips above a limit (theirs is 2.3 % at
        8 frames a second); own flow instead of RAFT, faded out where there is nothing to see moving.
    """
    speed = _speed(motion.seen).flatten(1)
    fastest = speed.topk(max(1, int(FASTEST * speed.shape[1])), dim=1).values.mean()
    return float(100 * fastest / min(motion.flow.shape[-2:]))


def warping_error(planes: Tensor, motion: Motion) -> float:
    """Mean absolute difference of each frame and the next one moved back by the flow, in [0, 1]; lower is better.

    Only pixels whose flow stays inside the picture count. Frames without motion have 0: read it beside
    ``dynamic_degree``.

    Source: Lai et al., arXiv 1808.00449.
    Differs: the absolute difference, and no mask of covered pixels: finding no counterpart is what is measured.
    """
    total, count = 0.0, 0.0
    for first, second, flow in zip(*(x.split(PIECE) for x in (planes[:-1], planes[1:], motion.flow)), strict=True):
        moved, inside = warp(second, flow)
        total += float(((moved - first).abs().mean(1, keepdim=True) * inside).sum())
        count += float(inside.sum())
    return total / max(count, 1.0)


def flow_agreement(video: Motion, reference: Motion) -> float:
    """Whether two clips move the same way at the same place and time, in [-1, 1]; higher is better.

    ``sum w cos(a, b) / sum w`` with ``w = (|a| + |b|) / 2`` over all pixels of all pairs of frames; where only
    one moves the cosine is 0. Opposite motion has -1, two still clips 1.
    """
    a, b = _moving(video), _moving(reference)
    length_a, length_b = _speed(a), _speed(b)
    weight = (length_a + length_b) / 2
    if not weight.any():
        return 1.0
    alike = (a * b).sum(1) / (length_a * length_b).clamp(min=STILL**2)
    return float((weight * alike).sum() / weight.sum())


def flow_error(video: Motion, reference: Motion) -> float:
    """Normalised end point error of the flow, in [0, 1]; lower is better.

    ``sum |a - b| / sum (|a| + |b|)``: 0 for the same motion, 1 for motion at other places or the other way.

    Differs: the usual end point error has no upper end; dividing by both lengths gives it one.
    """
    a, b = _moving(video), _moving(reference)
    total = float((_speed(a) + _speed(b)).sum())
    return float(_speed(a - b).sum()) / total if total else 0.0


def _moving(motion: Motion) -> Tensor:
    """The seen flow without what is too slow to have a direction."""
    return motion.seen * (_speed(motion.seen) > STILL)[:, None]


def _speed(flow: Tensor) -> Tensor:
    """Length of each vector of ``[N, 2, H, W]``, ``[N, H, W]`` in pixels."""
    return torch.hypot(flow[:, 0], flow[:, 1])  # far faster than a norm over so short a dimension


def trajectory_agreement(video: Motion, reference: Motion) -> float:
    """Whether the same paths occur in two clips, wherever they begin, in [-1, 1]; higher is better.

    Points are followed through each clip by chained flow. ``(mean_a max_b cos(a, b) + mean_b max_a cos(a, b)) / 2``
    where a and b are the displacements of one path over the whole clip: the shape of a path counts, not its
    place, its speed or what moves; so growing agrees with shrinking. Points that rest are left out; a clip in
    which all rest agrees with another such clip (1) and with no other (0). Unrelated motion lies above 0, as the
    best match is taken: noise has about 0.5 over twelve frames, less over more.

    Source: motion fidelity of Yatim et al., arXiv 2311.17009.
    Differs: chained own flow instead of a tracker; one cosine a path instead of a mean over the frames, which
        would let the directions of slow moments count as much as fast ones.
    """
    a, b = _paths(video), _paths(reference)
    if not len(a) or not len(b):
        return float(len(a) == len(b))
    alike = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    both = (alike.max(0).values.mean() + alike.max(1).values.mean()) / 2
    return float(both.clamp(-1, 1))


def _paths(motion: Motion) -> Tensor:
    """Displacements ``[P, 2 (T - 1)]`` of the points of the first frame that can be seen to move."""
    height, width = motion.flow.shape[-2:]
    short = min(height, width)
    step = max(1, short // SEEDS)
    ys, xs = torch.meshgrid(torch.arange(0, height, step), torch.arange(0, width, step), indexing="ij")
    points = torch.stack([xs, ys], -1).reshape(-1, 2).to(motion.flow)
    points = points[at_points(motion.trust[0], points)[:, 0] > 0.5]
    steps = follow(motion.flow, points).diff(dim=0)  # T - 1, P, 2
    moving = steps.norm(dim=2).sum(0) > TRAVEL * short
    return steps[:, moving].transpose(0, 1).flatten(1)


def self_similarity(video: Tensor, reference: Tensor) -> float:
    """Correlation of two clips' matrices of distances between all their frames, in [-1, 1]; higher is better.

    Rhythm and pace alone: place, colour and direction do not matter, so a clip that slides left agrees with
    one that slides right. Clips ``[T, 3, H, W]`` of the same length, at least three frames.

    Source: Junejo et al. 2008, "Cross-view action recognition from temporal self-similarities".
    """
    return float(correlation(_distances(video), _distances(reference)))


def _distances(planes: Tensor) -> Tensor:
    """Root mean square difference of every pair of frames, ``[T (T - 1) / 2]``."""
    flat = planes.flatten(1)
    # Through a matrix product equal frames would be some distance apart.
    every = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    row, column = torch.triu_indices(len(flat), len(flat), 1)
    return every[row, column] / flat.shape[1] ** 0.5
