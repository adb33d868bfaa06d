"""Which clips a step sees and its random numbers: pure functions of (seed, step), on the CPU.

Because nothing is carried from step to step, a run can go on anywhere, and the device does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..storage.lazy import shapes_of

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

    def part(self, rows: range) -> FlowBatch:
        """Some of its clips."""
        chosen = slice(rows.start, rows.stop)
        return FlowBatch(self.x0[chosen], self.noise[chosen], self.sigma[chosen], self.conditioning[chosen])


def seeded_generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator that depends on nothing but its arguments."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@lru_cache(maxsize=256)
def epoch_order(seed: int, epoch: int, size: int, purpose: str = "order") -> tuple[int, ...]:
    """A shuffle of ``range(size)``, a new one for every epoch."""
    return tuple(torch.randperm(size, generator=seeded_generator(seed, epoch, purpose)).tolist())


def batch_indices(seed: int, step: int, size: int, batch_size: int, groups: Sequence[Sequence[int]] = ()) -> list[int]:
    """Clips of a step: shuffled epochs laid end to end, ``batch_size`` taken at a time.

    With several ``groups``, the clips of each bucket, a step's clips are all of one group: see ``grouped_indices``.

    Raises:
        ValueError: the set is empty.
    """
    if size < 1:
        raise ValueError("the data set has no clips; training needs at least one, add clips to it")
    if len(groups) > 1:
        return grouped_indices(seed, step, groups, batch_size)
    positions = range(step * batch_size, (step + 1) * batch_size)
    return [epoch_order(seed, position // size, size)[position % size] for position in positions]


def grouped_indices(seed: int, step: int, groups: Sequence[Sequence[int]], batch_size: int) -> list[int]:
    """Clips of a step, all of one group and none favoured in the long run.

    A group is a stream of shuffled epochs, as a set without groups is. After e epochs a group of n clips has given
    ``ceil(e n / batch_size)`` batches: its last one of an epoch is filled from its next shuffle, and that head start
    is taken off its later epochs. Within an epoch the batches of all groups are shuffled.

    Args:
        seed: Of the run.
        step: Counted from 0.
        groups: Clips of each bucket, none empty.
        batch_size: Clips of a step.
    """
    sizes = tuple(len(group) for group in groups)
    epoch = _epoch_of(step, sizes, batch_size)
    given = _batches_given(epoch, sizes, batch_size)
    turns = _turns(seed, epoch, sizes, batch_size)
    place = step - sum(given)
    chosen = turns[place]
    batch = given[chosen] + turns[:place].count(chosen)
    positions = range(batch * batch_size, (batch + 1) * batch_size)
    members, size, purpose = groups[chosen], sizes[chosen], f"order of bucket {chosen}"
    return [members[epoch_order(seed, position // size, size, purpose)[position % size]] for position in positions]


def _batches_given(epochs: int, sizes: tuple[int, ...], batch_size: int) -> list[int]:
    """Batches of each group once so many epochs are over."""
    return [-(-epochs * size // batch_size) for size in sizes]


def _epoch_of(step: int, sizes: tuple[int, ...], batch_size: int) -> int:
    # Rounding up adds less than one batch a group, so the search starts little below the epoch.
    epoch = max(0, (step - len(sizes)) * batch_size // sum(sizes))
    while sum(_batches_given(epoch + 1, sizes, batch_size)) <= step:
        epoch += 1
    return epoch


@lru_cache(maxsize=8)
def _turns(seed: int, epoch: int, sizes: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
    """The group of each batch of an epoch."""
    before, after = (_batches_given(epochs, sizes, batch_size) for epochs in (epoch, epoch + 1))
    turns = [group for group, (low, high) in enumerate(zip(before, after, strict=True)) for _ in range(low, high)]
    return tuple(turns[i] for i in epoch_order(seed, epoch, len(turns), "buckets"))


def dropped(count: int, probability: float, generator: torch.Generator) -> list[bool]:
    """Whether each clip of the batch loses its caption."""
    return (torch.rand(count, generator=generator) < probability).tolist()


def shape_groups(x0: Sequence[Tensor]) -> tuple[tuple[int, ...], ...]:
    """The clips of each bucket, which are those whose latents can be stacked."""
    groups: dict[torch.Size, list[int]] = {}
    for i, shape in enumerate(shapes_of(x0)):
        groups.setdefault(shape, []).append(i)
    return tuple(map(tuple, groups.values()))
