"""Which clips a step sees and its random numbers: pure functions of (seed, step), on the CPU.

Because nothing is carried from step to step, a run can go on anywhere, and the device does not matter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Conditioning = dict[str, Tensor]  # one clip's text conditioning, without a batch dimension


@dataclass(frozen=True)
class StepGenerators:
    """One stream a purpose, so that switching dropout on changes neither noise nor sigma."""

    noise: torch.Generator
    sigma: torch.Generator
    dropout: torch.Generator

    @classmethod
    def at(cls, seed: int, step: int) -> StepGenerators:
        """The three streams of a step."""
        return cls(*(seeded_generator(seed, step, purpose) for purpose in ("noise", "sigma", "dropout")))


@dataclass(frozen=True)
class FlowBatch:
    """Clean latents and everything random about a step."""

    x0: Tensor  # [B, C, T, H, W], in the model's space
    noise: Tensor  # as x0, standard normal
    sigma: Tensor  # [B], global noise level in (0, 1): a flow's sigma, else the share of the timesteps
    conditioning: list[Conditioning]  # B of them

    def to(self, device: torch.device | str) -> FlowBatch:
        """The same batch on another device; the conditioning is moved by the predictor."""
        return FlowBatch(self.x0.to(device), self.noise.to(device), self.sigma.to(device), self.conditioning)


def seeded_generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator that depends on nothing but its arguments."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@lru_cache(maxsize=8)
def epoch_order(seed: int, epoch: int, size: int) -> tuple[int, ...]:
    """A shuffle of ``range(size)``, a new one for every epoch."""
    return tuple(torch.randperm(size, generator=seeded_generator(seed, epoch, "order")).tolist())


def batch_indices(seed: int, step: int, size: int, batch_size: int) -> list[int]:
    """Clips of a step: shuffled epochs laid end to end, ``batch_size`` taken at a time.

    Raises:
        ValueError: the set is empty.
    """
    if size < 1:
        raise ValueError("the data set has no clips; training needs at least one, add clips to it")
    positions = range(step * batch_size, (step + 1) * batch_size)
    return [epoch_order(seed, position // size, size)[position % size] for position in positions]


def sample_sigmas(count: int, density: str, shift: float, generator: torch.Generator) -> Tensor:
    """Global noise levels in (0, 1), shape ``[count]``, fp32.

    ``uniform``: s ~ U(0, 1).  ``logit_normal``: s = sigmoid(n), n ~ N(0, 1).  Then
    ``sigma = shift s / (1 + (shift - 1) s)``.

    Source: Esser et al., arXiv 2403.03206, section 3.1 (densities) and equation 23 (shift).
    """
    from ..methods.flow import shift_sigmas

    if density == "logit_normal":
        from diffusers.training_utils import compute_density_for_timestep_sampling

        s = compute_density_for_timestep_sampling(density, count, 0.0, 1.0, generator=generator)
    else:
        s = torch.rand(count, generator=generator)
    return shift_sigmas(s, shift).clamp(1e-4, 1.0 - 1e-4)


def dropped(count: int, probability: float, generator: torch.Generator) -> list[bool]:
    """Whether each clip of the batch loses its caption."""
    return (torch.rand(count, generator=generator) < probability).tolist()
