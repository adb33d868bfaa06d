"""The one training loop. It knows neither the method (an ``Objective``) nor the host (a ``Predict``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .batches import StepGenerators, batch_indices
from .config import TrainConfig
from .objective import Objective, Predict, StepLoss


class Cancelled(Exception):  # noqa: N818 - an order from the user, not an error
    """Raised by a callback to stop a run; the parameters keep what was learned so far."""


class NonFiniteError(RuntimeError):
    """The loss or its gradient is not a number; the parameters are those of the step before."""


@dataclass
class TrainState:
    """All that changes while a run goes on, except parameters and optimiser."""

    step: int = 0  # steps done
    losses: list[float] = field(default_factory=list)  # mean over the batch, one a step
    sigmas: list[list[float]] = field(default_factory=list)  # noise levels of each step's clips


@dataclass(frozen=True)
class StepRecord:
    """What one step measured."""

    loss: float
    per_sample: list[float]  # loss of each clip
    sigma: list[float]  # its noise level
    grad_norm: float  # before clipping
    learning_rate: float


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    losses: list[float]
    steps: int
    sigmas: list[list[float]]


OnStep = Callable[[int, StepRecord], None]


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
    """Run AdamW on ``parameters`` until ``config.steps`` steps are done.

    Args:
        objective: The method; it draws batches and computes losses.
        predict: The model, see ``Predict``.
        parameters: What is trained; they decide the device.
        config: The settings.
        state: Filled while running, so that the caller still has it after an exception.
        on_step: Called after each step with the steps done and its record; may raise ``Cancelled``.
        loss_scale: Factor on the loss during the backward pass, see ``train_step``.

    Raises:
        ValueError: warm-up longer than the run, or nothing to train.
        NonFiniteError: the loss or the gradient stopped being a number.
        RuntimeError: the loss does not reach every parameter.
    """
    state = TrainState() if state is None else state
    parameters = list(parameters)
    optimizer, schedule = make_optimizer(parameters, config)
    while state.step < config.steps:
        record = train_step(objective, predict, parameters, optimizer, config, state.step, loss_scale)
        schedule.step()
        state.step += 1
        state.losses.append(record.loss)
        state.sigmas.append(record.sigma)
        if on_step is not None:
            on_step(state.step, record)
    return TrainResult(state.losses, state.step, state.sigmas)


def train_step(
    objective: Objective,
    predict: Predict,
    parameters: list[Tensor],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    step: int,
    loss_scale: float = 1.0,
) -> StepRecord:
    """Forward, backward, clip, update; random numbers depend on ``(config.seed, step)`` only.

    ``gradient = d(loss_scale * loss) / loss_scale``: a power of two changes nothing in fp32 and keeps the small
    gradients inside an fp16 network above zero.
    """
    indices = batch_indices(config.seed, step, objective.size, config.batch_size)
    batch = objective.batch(indices, StepGenerators.at(config.seed, step)).to(parameters[0].device)
    optimizer.zero_grad(set_to_none=True)
    result = objective.loss(predict, batch)
    loss = result.per_sample.mean()
    backward(loss, parameters, loss_scale)
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
    record = _record(result, loss, norm, optimizer)
    _check_finite(record, step, config)
    optimizer.step()
    return record


def backward(loss: Tensor, parameters: list[Tensor], loss_scale: float) -> None:
    """Gradients of the loss, unscaled.

    Raises:
        RuntimeError: a parameter gets none, because something on the way has no backward pass.
    """
    if loss.requires_grad:
        (loss * loss_scale).backward()
    missed = sum(parameter.grad is None for parameter in parameters)
    if missed:
        raise RuntimeError(
            f"the loss does not reach {missed} of {len(parameters)} trained tensors, so they cannot learn; "
            "take attention and optimisation patches off the model, or choose target_modules that it uses"
        )
    if loss_scale != 1.0:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(loss_scale)


def make_optimizer(parameters: list[Tensor], config: TrainConfig) -> tuple[torch.optim.AdamW, Any]:
    """AdamW and its learning-rate schedule; ``constant`` with a warm-up rises first, then stays."""
    from diffusers.optimization import get_scheduler

    if not parameters:
        raise ValueError("there is nothing to train; choose target_modules that match the model")
    if config.warmup_steps >= config.steps and config.warmup_steps:
        raise ValueError(
            f"a warm-up of {config.warmup_steps} steps does not end within the run's {config.steps} steps; "
            "lower warmup_steps or raise steps"
        )
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
    )
    name = config.lr_schedule
    if name == "constant" and config.warmup_steps:
        name = "constant_with_warmup"
    schedule = get_scheduler(name, optimizer, num_warmup_steps=config.warmup_steps, num_training_steps=config.steps)
    return optimizer, schedule


def _record(result: StepLoss, loss: Tensor, norm: Tensor, optimizer: torch.optim.Optimizer) -> StepRecord:
    return StepRecord(
        loss=float(loss.detach()),
        per_sample=result.per_sample.detach().tolist(),
        sigma=result.sigma.tolist(),
        grad_norm=float(norm),
        learning_rate=optimizer.param_groups[0]["lr"],
    )


def _check_finite(record: StepRecord, step: int, config: TrainConfig) -> None:
    if math.isfinite(record.loss) and math.isfinite(record.grad_norm):
        return
    if math.isfinite(record.loss):
        what, cause = (
            "gradient",
            "a half-precision model overflowing in the backward pass; train in bf16 or fp32",
        )
    elif step == 0:
        what, cause = (
            "loss",
            "broken latents or conditioning, or an fp16 model; encode again or load it in bf16",
        )
    else:
        what, cause = "loss", f"a learning rate of {config.learning_rate:g} being too high; lower it"
    raise NonFiniteError(
        f"the {what} of step {step + 1} is not a number; the likely cause is {cause}; "
        f"the LoRA keeps the {step} steps before"
    )
