"""Optical flow by pyramidal Lucas-Kanade: how far each pixel moves from one frame to the next. No net.

Frames are planes ``[N, C, H, W]`` in [0, 1]; flow is ``[N, 2, H, W]``, (x, y) in pixels, x to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .image_scores import gaussian_blur

WINDOW, SIGMA = 9, 2.0  # Gaussian window over which pixels move alike, pixels
ITERATIONS = 5  # a level of the pyramid
COARSEST = 16  # short side of the coarsest level, pixels
LONGEST_STEP = 1.0  # pixels an iteration may change the flow by
DAMPING = 1e-4  # squared gradient below which a window does not change its flow
TEXTURE = 1e-3  # squared gradient at which a window is trusted by half
PIECE = 16  # pairs of frames that are worked on at once


@dataclass(frozen=True)
class Motion:
    """Flow between the neighbouring frames of a clip, and where it can be believed."""

    flow: Tensor  # [T - 1, 2, H, W], pixels
    trust: Tensor  # [T - 1, 1, H, W] in [0, 1], 0 where there is nothing to see moving

    @property
    def seen(self) -> Tensor:
        """The flow, fading to 0 where there is nothing to see moving, ``[T - 1, 2, H, W]``."""
        return self.flow * self.trust

    def __getitem__(self, pairs: slice) -> Motion:
        """The motion of some of the pairs."""
        return Motion(self.flow[pairs], self.trust[pairs])


def clip_motion(planes: Tensor) -> Motion:
    """Motion of a clip ``[T, C, H, W]`` of at least two frames, in pieces so that memory stays small."""
    pairs = list(zip(planes[:-1].split(PIECE), planes[1:].split(PIECE), strict=True))
    return Motion(
        torch.cat([optical_flow(first, second) for first, second in pairs]),
        torch.cat([trust(first) for first, _ in pairs]),
    )


def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    """Flow ``[N, 2, H, W]`` with ``second(p + flow(p)) = first(p)``, from the coarsest level to the finest.

    On each level the flow u solves ``(sum w g g^T) u = sum w g (g . f - d)`` in the window around each pixel:
    g is the gradient, d the difference to the second frame warped by the flow f so far. Channels are summed,
    so equally bright colours are told apart. Windows without texture keep the flow of the coarser level.
    Objects that move by up to a tenth of the short side a frame are followed.

    Source: Lucas and Kanade 1981; pyramid after Bouguet 2000.
    Differs: each pixel is warped by its own flow, not by that of its window's centre; ``g . f`` makes up for it.
    """
    coarse_to_fine = list(zip(_pyramid(first), _pyramid(second), strict=True))[::-1]
    start = coarse_to_fine[0][0]
    flow = start.new_zeros(len(start), 2, *start.shape[-2:])
    for a, b in coarse_to_fine:
        flow = _enlarge(flow, *a.shape[-2:])
        for _ in range(ITERATIONS):
            flow = flow + (_solve(a, b, flow) - flow).clamp(-LONGEST_STEP, LONGEST_STEP)
    return flow


def _pyramid(planes: Tensor) -> list[Tensor]:
    """Ever halved planes, the finest first."""
    levels = [planes]
    while min(levels[-1].shape[-2:]) >= 2 * COARSEST:
        height, width = levels[-1].shape[-2:]
        size = ((height + 1) // 2, (width + 1) // 2)
        levels.append(F.interpolate(levels[-1], size, mode="bilinear", antialias=True, align_corners=False))
    return levels


def _enlarge(flow: Tensor, height: int, width: int) -> Tensor:
    """Flow at another size, in pixels of that size."""
    scale = flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).view(1, 2, 1, 1)
    return F.interpolate(flow, (height, width), mode="bilinear", align_corners=False) * scale


def _solve(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """The flow of each pixel's window, see ``optical_flow``."""
    moved, inside = warp(second, flow)
    dx, dy = _gradient((first + moved) / 2)
    along = dx * flow[:, :1] + dy * flow[:, 1:] - (moved - first)
    products = torch.stack([dx * dx, dx * dy, dy * dy, dx * along, dy * along], 1).sum(2) * inside
    xx, xy, yy, xr, yr = _window(products).unbind(1)
    xx, yy = xx + DAMPING, yy + DAMPING
    xr, yr = xr + DAMPING * flow[:, 0], yr + DAMPING * flow[:, 1]
    return torch.stack([yy * xr - xy * yr, xx * yr - xy * xr], 1) / (xx * yy - xy * xy)[:, None]


def _gradient(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return across, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _window(planes: Tensor) -> Tensor:
    """Weighted sum over each pixel's window; beyond the edge there is nothing."""
    return gaussian_blur(F.pad(planes, (WINDOW // 2,) * 4), WINDOW, SIGMA)


def trust(planes: Tensor) -> Tensor:
    """How much there is to see moving around each pixel: ``e / (e + texture)``, ``[N, 1, H, W]`` in [0, 1).

    e is the window's squared gradient. Plain areas take their flow from afar, which says nothing of them.
    """
    dx, dy = _gradient(planes)
    energy = _window((dx * dx + dy * dy).sum(1, keepdim=True))
    return energy / (energy + TEXTURE)


def warp(planes: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Planes fetched from where the flow leads, bilinear, and whether that is inside, ``[N, 1, H, W]``."""
    height, width = planes.shape[-2:]
    x = torch.arange(width, device=flow.device) + 0.5 + flow[:, 0]
    y = (torch.arange(height, device=flow.device) + 0.5)[:, None] + flow[:, 1]
    grid = torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1)
    moved = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved, (grid.abs() <= 1).all(-1)[:, None]


def at_points(field: Tensor, points: Tensor) -> Tensor:
    """Values ``[P, C]`` of a field ``[C, H, W]`` at points ``[P, 2]`` (x, y) in pixels, bilinear."""
    size = points.new_tensor([field.shape[-1], field.shape[-2]])
    grid = ((points + 0.5) * 2 / size - 1)[None, None]
    return F.grid_sample(field[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0].T


def follow(flow: Tensor, points: Tensor) -> Tensor:
    """Paths ``[T, P, 2]`` of points ``[P, 2]`` of the first frame, by chained flow ``[T - 1, 2, H, W]``.

    A point that leaves the picture rests from then on: at the edge it would slide along it, a motion of its own.
    """
    last = points.new_tensor([flow.shape[-1] - 1, flow.shape[-2] - 1])
    path, inside = [points], torch.ones_like(points[:, :1], dtype=torch.bool)
    for step in flow:
        moved = path[-1] + at_points(step, path[-1])
        inside = inside & ((moved >= 0) & (moved <= last)).all(1, keepdim=True)
        path.append(torch.where(inside, moved, path[-1]))
    return torch.stack(path)
