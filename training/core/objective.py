"""What the loop asks of a method: a batch for a step, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from .batches import Conditioning, StepGenerators


@dataclass(frozen=True)
class StepLoss:
    """Loss of each clip and the noise level it was taken at."""

    per_sample: Tensor  # [B]
    sigma: Tensor  # [B]


class Predict(Protocol):
    """The model as the loop sees it."""

    def __call__(self, xt: Tensor, sigma: Tensor, conditioning: Sequence[Conditioning], /) -> Tensor:
        """Velocity ``[B, C, T, H, W]`` for noised latents; sigma is ``[B]`` or ``[B, T]``."""
        ...


class Movable(Protocol):
    """A batch that can follow the parameters to their device, and of which a process can take some clips."""

    def to(self, device: torch.device | str) -> Any: ...

    def part(self, rows: range) -> Any: ...


class Objective(Protocol):
    """One method's training objective; one class a method, one loop for all."""

    name: str
    size: int  # number of clips

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> Movable:
        """Everything a step needs, on the CPU; random only through ``generators``."""
        ...

    def loss(self, predict: Predict, batch: Any) -> StepLoss:
        """Loss of each clip of the batch."""
        ...

    def metadata(self) -> dict[str, str]:
        """What a loader must know to use the result."""
        ...
