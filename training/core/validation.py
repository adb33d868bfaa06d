"""Validation loss: held-out clips at fixed noise and fixed levels, so that two runs can be compared."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..distributed.exchange import shared_values
from ..distributed.processes import processes
from .batches import FlowBatch
from .objective import Predict, StepLoss

SIGMAS = (0.2, 0.4, 0.6, 0.8)


class Validated(Protocol):
    """The part of an objective that validation needs."""

    size: int

    def fixed_batch(self, index: int, sigma: float) -> FlowBatch: ...

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss: ...


@torch.no_grad()
def validation_losses(
    objective: Validated, predict: Predict, device: torch.device | str, sigmas: tuple[float, ...] = SIGMAS
) -> dict[str, float]:
    """Mean loss over all clips at each noise level, named by it, and the mean of these as ``mean``.

    Where several processes share the run, each computes its part of the losses.
    """
    size = objective.size

    def loss(i: int) -> Tensor:
        batch = objective.fixed_batch(i % size, sigmas[i // size]).to(device)
        return objective.loss(predict, batch).per_sample.mean()

    losses = torch.tensor(shared_values(processes(), size * len(sigmas), loss, device)).view(len(sigmas), size)
    by_level = {f"{sigma:g}": float(row.mean()) for sigma, row in zip(sigmas, losses, strict=True)}
    return {"mean": float(losses.mean())} | by_level


def levels_within(low: float, high: float) -> tuple[float, ...]:
    """The noise levels of validation for a run that is trained between two levels: spread over them as over 0 to 1."""
    return tuple(low + (high - low) * sigma for sigma in SIGMAS)
