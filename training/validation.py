"""Validation loss: held-out clips at fixed noise and fixed levels, so that two runs can be compared."""

from __future__ import annotations

from typing import Protocol

import torch

from .batches import FlowBatch
from .objective import Predict, StepLoss

SIGMAS = (0.2, 0.4, 0.6, 0.8)


class Validated(Protocol):
    """The part of an objective that validation needs."""

    size: int

    def fixed_batch(self, index: int, sigma: float) -> FlowBatch: ...

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss: ...


@torch.no_grad()
def validation_loss(
    objective: Validated, predict: Predict, device: torch.device | str, sigmas: tuple[float, ...] = SIGMAS
) -> float:
    """Mean loss over all clips and the given noise levels."""
    losses = [
        objective.loss(predict, objective.fixed_batch(index, sigma).to(device)).per_sample.mean()
        for index in range(objective.size)
        for sigma in sigmas
    ]
    return float(torch.stack(losses).mean())
