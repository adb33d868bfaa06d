"""AICL validation: whether the references are read, told by the loss with the right, a wrong and no reference."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.objective import Predict
from ..core.validation import SIGMAS
from ..distributed.exchange import shared_values
from ..distributed.processes import processes
from .objective import RIGHT, WITHOUT, WRONG, AiclObjective

WRONG_NAME, WITHOUT_NAME = "wrong reference", "no reference"


@torch.no_grad()
def reference_losses(
    objective: AiclObjective, predict: Predict, device: torch.device | str, sigmas: tuple[float, ...] = SIGMAS
) -> dict[str, float]:
    """Losses by name on fixed noise: ``mean`` and those of each level with the right reference, and the means without.

    As long as the mean with a wrong reference is no higher than ``mean``, the references are not read. Where no clip
    has another action than the rest there is no wrong one.
    """

    def mean(sigma: float, reading: str) -> float:
        def loss(i: int) -> Tensor:
            return _loss(objective, predict, device, i, sigma, reading)

        return sum(shared_values(processes(), objective.size, loss, device)) / objective.size

    right = {f"{sigma:g}": mean(sigma, RIGHT) for sigma in sigmas}
    losses = {"mean": sum(right.values()) / len(sigmas), **right}
    if all(objective.data.groups.wrong(i) is not None for i in range(objective.size)):
        losses[WRONG_NAME] = sum(mean(sigma, WRONG) for sigma in sigmas) / len(sigmas)
    return {**losses, WITHOUT_NAME: sum(mean(sigma, WITHOUT) for sigma in sigmas) / len(sigmas)}


def _loss(
    objective: AiclObjective, predict: Predict, device: torch.device | str, clip: int, sigma: float, reading: str
) -> Tensor:
    batch = objective.fixed_batch(clip, sigma, reading).to(device)
    return objective.loss(predict, batch).per_sample.mean()
