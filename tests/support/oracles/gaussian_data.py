"""Gaussian data, whose best denoiser and whose way from clean to noise are known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianData:
    """Independent numbers around one of several means, each as likely, in float64."""

    flow: bool  # else DDPM, x = x0 + sigma noise
    means: tuple[float, ...] = (-0.4, 0.9)
    width: float = 0.5

    def draw(self, *shape: int, seed: int = 0) -> Tensor:
        """Clean latents."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(self.means), shape, generator=generator)
        noise = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return torch.tensor(self.means, dtype=torch.float64)[chosen] + self.width * noise

    def _line(self, x: Tensor, sigma: float) -> tuple[float, Tensor, float]:
        """Share of x0 in the state, deviations of ``x`` from each mean ``[..., M]``, and what a deviation is."""
        share = 1.0 - sigma if self.flow else 1.0
        deviation = math.hypot(share * self.width, sigma)
        means = share * torch.tensor(self.means).to(x)
        return share, (x[..., None] - means) / deviation, deviation

    def denoised(self, x: Tensor, sigma: float) -> Tensor:
        """The mean of x0, given its state ``x`` at ``sigma``."""
        share, away, deviation = self._line(x, sigma)
        of_each = torch.tensor(self.means).to(x) + share * self.width**2 / deviation * away
        return (torch.softmax(-(away**2) / 2, -1) * of_each).sum(-1)

    def state(self, x0: Tensor, sigma: float) -> Tensor:
        """Where the noise-free way from ``x0`` is at ``sigma``: as many of the data lie below it as at the start."""
        below = self._share_below(x0, 0.0)
        low, high = torch.full_like(x0, -1e3), torch.full_like(x0, 1e3)
        for _ in range(100):
            middle = (low + high) / 2
            under = self._share_below(middle, sigma) < below
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2

    def _share_below(self, x: Tensor, sigma: float) -> Tensor:
        return torch.special.ndtr(self._line(x, sigma)[1]).mean(-1)


def levels(flow: bool, steps: int, top: float) -> list[float]:
    """Rising sigmas from 0: in a flow with a shift of 3, in DDPM evenly spaced in their angle."""
    if flow:
        return [top * 3 * i / (steps + 2 * i) for i in range(steps + 1)]
    return [math.tan(math.atan(top) * i / steps) for i in range(steps + 1)]


def euler_down(data: GaussianData, x: Tensor, sigmas: list[float]) -> Tensor:
    """Euler from the last of rising ``sigmas`` down to the first; that is DDIM in DDPM."""
    for high, low in zip(sigmas[::-1], sigmas[-2::-1], strict=False):
        x = x + (low - high) * (x - data.denoised(x, high)) / high
    return x


def mid_points_down(data: GaussianData, x: Tensor, sigmas: list[float]) -> Tensor:
    """The same by mid-points."""
    for high, low in zip(sigmas[::-1], sigmas[-2::-1], strict=False):
        middle = (high + low) / 2
        half = x + (middle - high) * (x - data.denoised(x, high)) / high
        x = x + (low - high) * (half - data.denoised(half, middle)) / middle
    return x
