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
def validation_losses(
    objective: Validated, predict: Predict, device: torch.device | str, sigmas: tuple[float, ...] = SIGMAS
) -> dict[str, float]:
    """Mean loss over all clips at each noise level, named by it, and the mean of these as ``mean``."""
    by_level = {
        f"{sigma:g}": torch.stack(
            [
                objective.loss(predict, objective.fixed_batch(index, sigma).to(device)).per_sample.mean()
                for index in range(objective.size)
            ]
        )
        for sigma in sigmas
    }
    return {"mean": float(torch.cat(list(by_level.values())).mean())} | {
        name: float(losses.mean()) for name, losses in by_level.items()
    }


def levels_within(low: float, high: float) -> tuple[float, ...]:
    """The noise levels of validation for a run that is trained between two levels: spread over them as over 0 to 1."""
    return tuple(low + (high - low) * sigma for sigma in SIGMAS)
