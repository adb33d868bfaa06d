"""Learning one matrix from its products: a run small enough to be done a hundred times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Regression:
    """Five clips, each with a scale of its own; the noise makes every step another one."""

    name = "regression"
    size = 5

    def __init__(self, bad_calls: Sequence[int] = (), bad_clip: int | None = None, width: int = 4) -> None:
        """Take the calls, counted from 1, and the clip whose loss is no number."""
        self.truth = torch.randn(width, width, generator=torch.Generator().manual_seed(1))
        self.bad_calls, self.bad_clip, self.calls, self.width = set(bad_calls), bad_clip, 0, width

    def batch(self, indices: Sequence[int], generators: Any) -> Any:
        from pack.training.core.batches import FlowBatch

        scale = torch.tensor([[1.0 + index / 10] for index in indices])
        x = torch.randn(len(indices), self.width, generator=generators.noise) * scale
        bad = torch.tensor([[math.nan if index == self.bad_clip else 1.0] for index in indices])
        return FlowBatch(x, bad, torch.rand(len(indices), generator=generators.sigma), [{}] * len(indices))

    def loss(self, predict: Any, batch: Any) -> Any:
        from pack.training.core.objective import StepLoss

        self.calls += 1
        error = (predict(batch.x0, batch.sigma, batch.conditioning) - batch.x0 @ self.truth) * batch.noise
        factor = math.nan if self.calls in self.bad_calls else 1.0
        return StepLoss(error.square().mean(1) * factor, batch.sigma)

    def metadata(self) -> dict[str, str]:
        return {}


class Listener:
    """A monitor that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values: self.told.append((name, *values))

    def kinds(self, name: str) -> list[Any]:
        """The first values of everything told under a name."""
        return [entry[1] for entry in self.told if entry[0] == name]


def new_trainer(config: Any, objective: Any = None, weight: Tensor | None = None) -> Any:
    """A trainer of one matrix that starts at zero, or at the given one."""
    from pack.training.core.trainer import Trainer

    objective = objective or Regression()
    matrix = nn.Parameter(torch.zeros(objective.width, objective.width) if weight is None else weight)
    return Trainer(objective, lambda x, *_: x @ matrix, [matrix], config)


def new_run(folder: Path, trainer: Any, **values: Any) -> tuple[Any, Listener]:
    """A run in a folder, begun, with its listener."""
    from pack.training.core.state import TrainState
    from pack.training.runs.control import RunControl
    from pack.training.runs.folder import RunFolder
    from pack.training.runs.monitor import Monitors
    from pack.training.runs.run import Run

    run_folder, listener = RunFolder(folder), Listener()
    run_folder.read()
    run_folder.begin(config=trainer.config.to_dict(), identity={})
    control = RunControl(run_folder.id)
    return Run(trainer, TrainState(), run_folder, control, Monitors([listener]), **values), listener
