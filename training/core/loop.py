"""The one training loop. It knows neither the method (an ``Objective``) nor the host (a ``Predict``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from .config import TrainConfig
from .objective import Objective, Predict
from .state import StepRecord, TrainState
from .trainer import Trainer

PATIENCE = 5  # steps in a row without a number before something is done
REWINDS = 2  # times a run goes back and tries a lower rate
LOWER = 0.5  # factor on the rate each time


class Cancelled(Exception):  # noqa: N818 - a command of the user, not an error
    """Raised by a callback to stop a run; the parameters keep what was learned so far."""


class Stopped(Exception):  # noqa: N818 - a command of the user, not an error
    """Raised by a callback to end a run early and return what it has learned."""


class NonFiniteError(RuntimeError):
    """Loss or gradient stayed no number; the parameters are those before these steps."""


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    losses: list[float]
    steps: int
    sigmas: list[list[float]]


OnStep = Callable[[int, StepRecord], None]
Rewind = Callable[[], bool]  # loads a checkpoint into the trainer and the run's state; False where there is none


def train(
    objective: Objective,
    predict: Predict,
    parameters: Iterable[Tensor],
    config: TrainConfig,
    *,
    state: TrainState | None = None,
    on_step: OnStep | None = None,
    loss_scale: float = 1.0,
) -> TrainResult:
    """Train ``parameters`` until ``config.steps`` steps are done.

    Args:
        objective: The method; it draws batches and computes losses.
        predict: The model, see ``Predict``.
        parameters: What is trained; they decide the device.
        config: The settings.
        state: Filled while running, so that the caller still has it after an exception.
        on_step: Called after each step with the steps done and its record; may raise ``Cancelled`` or ``Stopped``.
        loss_scale: Factor on the loss during the backward pass, see ``train_step``.

    Raises:
        ValueError: warm-up longer than the run, or nothing to train.
        NonFiniteError: the loss or the gradient stopped being a number.
        RuntimeError: the loss does not reach every parameter.
    """
    state = TrainState() if state is None else state
    run_steps(Trainer(objective, predict, parameters, config, loss_scale), state, on_step)
    return TrainResult(state.losses, state.step, state.sigmas)


def run_steps(
    trainer: Trainer,
    state: TrainState,
    on_step: OnStep | None = None,
    rewind: Rewind | None = None,
    note: OnStep | None = None,
) -> None:
    """Do the steps that are left, or fewer when ``on_step`` raises ``Stopped``.

    ``note`` is called as ``on_step``, before it, and also where another process of the run could not do the step.

    A step whose loss or gradient is no number is skipped. After five in a row the run goes back by ``rewind`` and
    goes on with half the rate, twice at most.

    Raises:
        NonFiniteError: the loss stays no number, and it did not help or there is no way back.
    """
    with _streams_kept(trainer.parameters[0].device):
        while state.step < trainer.config.steps:
            record = trainer.step(state, note)
            try:
                if on_step is not None:
                    on_step(state.step, record)
            except Stopped:
                return
            if state.in_a_row >= min(PATIENCE, trainer.config.steps):
                _go_back(trainer, state, record, rewind)


def _go_back(trainer: Trainer, state: TrainState, record: StepRecord, rewind: Rewind | None) -> None:
    cause = _non_finite(state, record, trainer.config)
    rewinds, scale = state.rewinds, state.rate_scale
    if rewind is None or rewinds >= REWINDS or not rewind():
        raise NonFiniteError(cause)
    state.rewinds, state.rate_scale, state.in_a_row = rewinds + 1, scale * LOWER, 0


def _non_finite(state: TrainState, record: StepRecord, config: TrainConfig) -> str:
    """The sentence about steps without a number."""
    what = "gradient" if math.isfinite(record.loss) else "loss"
    first, count = state.step - state.in_a_row + 1, state.in_a_row
    steps = f"step {first}" if count == 1 else f"steps {first} to {state.step}"
    return (
        f"the {what} of {steps} is not a number; the likely cause is {likely_cause(what, first, config)}; "
        f"the {first - 1} steps before are kept"
    )


def likely_cause(what: str, first: int, config: TrainConfig) -> str:
    """Why a loss or a gradient is no number from its ``first`` step on, and what to do."""
    if what == "gradient":
        return "a half-precision model overflowing in the backward pass; train in bf16 or fp32"
    if first == 1:
        return "broken latents or conditioning, or an fp16 model; encode again or load it in bf16"
    return f"a learning rate of {config.learning_rate:g} being too high; lower it"


def suspect(state: TrainState, size: int, least: int = 3) -> int | None:
    """The one clip that all skipped steps have in common, once there are three of them; None if there is no such."""
    common = set.intersection(*map(set, state.suspects)) if len(state.suspects) >= least and size > 1 else set()
    return common.pop() if len(common) == 1 else None


@contextmanager
def _streams_kept(device: torch.device) -> Iterator[None]:
    """Give the global random streams back as they were."""
    devices: Sequence[torch.device] = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
