"""A run that does nothing, for tests of what watches runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class FakeRun:
    """What monitors know of a run."""

    folder: Path
    id: str = "0123456789abcdef0123456789abcdef"
    name: str = "a run"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(loss: float = 0.5, **values: Any) -> Any:
    """A step's record."""
    from pack.training.core.state import StepRecord

    plain = {"per_sample": [loss], "sigma": [0.5], "grad_norm": 1.0, "learning_rate": 1e-4, "clips": [0]}
    return StepRecord(loss, **{**plain, "seconds": 0.25, **values})


def config(steps: int = 800) -> Any:
    """The settings of a run."""
    from pack.training.core.config import TrainConfig

    return TrainConfig(steps=steps)
