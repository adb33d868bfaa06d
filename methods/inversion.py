"""Inversion: from a clean latent up to the noise that the sampler turns back into it.

Both kinds of noise process have one equation in the terms of k-samplers, ``dx/dsigma = (x - D(x, sigma)) / sigma``,
with D the network's clean latent: flow ``x = (1 - sigma) x0 + sigma noise``, DDPM ``x = x0 + sigma noise``.
Source: Song et al., arXiv 2010.02502, section 4.3; Karras et al., arXiv 2206.00364, equation 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

DDIM, FIXED_POINT, MID_POINT = "ddim", "fixed-point", "mid-point"
METHODS = (DDIM, FIXED_POINT, MID_POINT)

Denoise = Callable[[Tensor, float], Tensor]  # state, sigma > 0 -> clean latent
OnStep = Callable[[int, Tensor], None]  # steps done before, state


@dataclass(frozen=True)
class Inverter:
    """One way up the levels.

    ``ddim`` takes the slope that the network tells of the later level for the earlier latent, one evaluation a step
    and an error of the order of the step. ``fixed-point`` goes on from there until the step down with Euler or DDIM,
    ``x = x' + (sigma - sigma') slope(x', sigma')``, leads back to where it came from: the very inverse of that sampler.
    ``mid-point`` takes the slope half-way, two evaluations and an error of the order of the step squared.

    Raises:
        ValueError: the method is not known, or there is no iteration.

    Source: ``ddim`` as in arXiv 2212.11565, section 3.3; ``fixed-point`` Pan et al., arXiv 2309.04907, section 3.
    Differs: ``ddim`` turns a velocity into noise first, where the reference takes every output for noise.
    """

    method: str = DDIM
    flow: bool = False  # a rectified flow, else DDPM
    iterations: int = 3  # of fixed-point, evaluations a step beside the first
    lowest: float = 1e-3  # sigma at which the network is asked about level 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"inversion method {self.method!r} is not known; use one of {', '.join(METHODS)}")
        if self.iterations < 1:
            raise ValueError(f"inversion got {self.iterations} iterations; give at least one")

    def run(
        self,
        denoise: Denoise,
        x0: Tensor,
        sigmas: Sequence[float],
        on_step: OnStep | None = None,
    ) -> Tensor:
        """The state at the last of ``sigmas``, which rise from the level of ``x0``; of any shape.

        Raises:
            ValueError: the sigmas do not rise.
        """
        if len(sigmas) < 2 or not all(low < high for low, high in pairwise(sigmas)):
            raise ValueError(
                f"inversion got {len(sigmas)} noise levels that do not rise from each to the next; "
                "take fewer steps or another scheduler"
            )
        x = x0
        for step, (low, high) in enumerate(pairwise(sigmas)):
            x = self.step(denoise, x, low, high)
            if on_step:
                on_step(step, x)
        return x

    def step(self, denoise: Denoise, x: Tensor, low: float, high: float) -> Tensor:
        """From the state at ``low`` to that at ``high``."""
        if self.method == MID_POINT:
            middle = (low + high) / 2
            half = x + (middle - low) * slope(denoise, x, max(low, self.lowest))
            return x + (high - low) * slope(denoise, half, middle)
        found = x + (high - low) * slope(denoise, self.carried(x, low, high), high)
        return found if self.method == DDIM else self._refined(denoise, x, found, low, high)

    def carried(self, x: Tensor, low: float, high: float) -> Tensor:
        """The state of level ``low`` so that the network sees the same at ``high``.

        ``x sqrt((1 + high^2) / (1 + low^2))`` in DDPM, whose samplers show the network ``x / sqrt(1 + sigma^2)``.
        """
        return x if self.flow else x * (math.hypot(1.0, high) / math.hypot(1.0, low))

    def _refined(self, denoise: Denoise, x: Tensor, found: Tensor, low: float, high: float) -> Tensor:
        """Iterate ``x' = x + (high - low) slope(x', high)``; a move that is longer than the last one is not made."""
        last = math.inf
        for _ in range(self.iterations):
            again = x + (high - low) * slope(denoise, found, high)
            move = float((again - found).norm())
            if not move < last:
                break
            found, last = again, move
        return found


def slope(denoise: Denoise, x: Tensor, sigma: float) -> Tensor:
    """``dx/dsigma = (x - D(x, sigma)) / sigma``: DDPM's noise, or the velocity of a flow."""
    return (x - denoise(x, sigma)) / sigma


def blended(noise: Tensor, fresh: Tensor, share: float) -> Tensor:
    """``sqrt(rho) noise + sqrt(1 - rho) fresh``: as much of both as keeps the variance; rho in [0, 1].

    Raises:
        ValueError: rho is out of its range.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the share of inverted noise is {share}; give one between 0 and 1")
    if share == 1.0:
        return noise
    return math.sqrt(share) * noise + math.sqrt(1.0 - share) * fresh
