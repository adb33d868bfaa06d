"""What changes while a run goes on, and what a step measured."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, fields
from typing import Any

WINDOW, RECENT, LEAST = 100, 10, 30  # losses that make the usual, those compared with it, fewest to judge by
FAR_ABOVE = 3.0  # times the usual loss


@dataclass
class TrainState:
    """All that changes while a run goes on, except parameters, their average and the optimiser."""

    step: int = 0  # steps done, skipped ones included
    losses: list[float] = field(default_factory=list)  # mean over the batch, one a step that was not skipped
    sigmas: list[list[float]] = field(default_factory=list)  # noise levels of those steps' clips
    skipped: list[int] = field(default_factory=list)  # steps whose loss or gradient was no number, counted from 1
    suspects: list[list[int]] = field(default_factory=list)  # clips of those steps
    in_a_row: int = 0  # how many of them are the last ones
    rewinds: int = 0  # how often the run went back to a checkpoint
    rate_scale: float = 1.0  # factor on the learning rate since then
    warned: int = 0  # step of the last warning that the loss runs away
    validation: list[dict[str, float]] = field(default_factory=list)  # "step" and losses by name, in order

    @property
    def best(self) -> dict[str, float] | None:
        """The validation with the lowest mean loss that is a number; of equals the first."""
        numbers = (entry for entry in self.validation if math.isfinite(entry["mean"]))
        return min(numbers, key=lambda entry: entry["mean"], default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainState:
        """Inverse of ``to_dict``; values of another version of the pack are left out."""
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def take(self, other: TrainState) -> None:
        """Become equal to another state."""
        for entry in fields(self):
            setattr(self, entry.name, getattr(other, entry.name))


@dataclass(frozen=True)
class StepRecord:
    """What one step measured."""

    loss: float
    per_sample: list[float]  # loss of each clip
    sigma: list[float]  # its noise level
    grad_norm: float  # before clipping
    learning_rate: float
    clips: list[int] = field(default_factory=list)  # their places in the data set
    seconds: float = 0.0
    skipped: bool = False  # loss or gradient was no number, nothing was learned


def runaway(losses: list[float]) -> float | None:
    """How many times its usual the loss is, if that is far above; else None.

    ``median of the last 10 / median of the 100 before them``, once 30 of these are known: the loss of a single
    step says little, because each step draws another noise level.
    """
    before, recent = losses[-WINDOW - RECENT : -RECENT], losses[-RECENT:]
    if len(before) < LEAST:
        return None
    usual = statistics.median(before)
    times = statistics.median(recent) / usual if usual > 0 else 0.0
    return times if times > FAR_ABOVE else None
