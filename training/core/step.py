"""One step of training: batches, gradients, and the update, if they are numbers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..distributed.exchange import Measured, add_up
from ..distributed.processes import Processes, processes
from .batches import StepGenerators, batch_indices, seeded_generator
from .config import TrainConfig
from .objective import Objective, Predict
from .state import StepRecord


@dataclass
class _Batches:
    """What the batches of one step gave, an entry a batch where it is a tensor, on whichever device."""

    per_sample: list[Tensor] = field(default_factory=list)
    sigma: list[Tensor] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)


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
    gradients inside an fp16 network above zero. With ``accumulation`` it is the mean over so many batches. Where loss
    or gradient is no number, nothing is updated and the record says ``skipped``. Where several processes share the run,
    each takes its part of the clips, and all do the same update.
    """
    begun = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    if processes().count > 1:
        seen = _shared(processes(), objective, predict, parameters, config, step, loss_scale)
    else:
        seen = _Batches()
        for micro in range(config.accumulation):
            _accumulate(objective, predict, parameters, config, step * config.accumulation + micro, loss_scale, seen)
    (norm,), losses, per_sample, sigma = _read(
        [torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)], seen.losses, seen.per_sample, seen.sigma
    )
    loss = sum(losses) / len(losses)
    finite = math.isfinite(loss) and math.isfinite(norm)
    rate = optimizer.param_groups[0]["lr"]
    if finite:
        optimizer.step()
    seconds = time.perf_counter() - begun
    return StepRecord(loss, per_sample, sigma, norm, rate, seen.clips, seconds, skipped=not finite)


def _read(*groups: list[Tensor]) -> list[list[Any]]:
    """The values of each group's tensors, laid end to end, all read at once: each reading waits for the device."""
    tensors = [tensor.detach() for group in groups for tensor in group]
    flat = torch.cat([tensor.reshape(-1).to(tensors[0].device) for tensor in tensors]).cpu()
    parts = iter(flat.split([tensor.numel() for tensor in tensors]))
    return [[value for tensor in group for value in _rows(next(parts), tensor)] for group in groups]


def _rows(values: Tensor, like: Tensor) -> list[Any]:
    return values.view(like.shape or (1,)).tolist()


def _accumulate(
    objective: Objective,
    predict: Predict,
    parameters: list[Tensor],
    config: TrainConfig,
    position: int,
    loss_scale: float,
    seen: _Batches,
) -> None:
    """Add the gradient of one batch; ``position`` counts the batches of the whole run."""
    indices = _indices(objective, config, position)
    batch = objective.batch(indices, StepGenerators.at(config.seed, position)).to(parameters[0].device)
    _seed_everything(config.seed, position, parameters[0].device)
    result = objective.loss(predict, batch)
    loss = result.per_sample.mean()
    backward(loss / config.accumulation, parameters, loss_scale)
    seen.losses.append(loss.detach())
    seen.per_sample.append(result.per_sample.detach())
    seen.sigma.append(result.sigma)
    seen.clips += indices


def _indices(objective: Objective, config: TrainConfig, position: int) -> list[int]:
    groups = getattr(objective, "groups", ())
    return batch_indices(config.seed, position, objective.size, config.batch_size, groups)


def _shared(
    group: Processes,
    objective: Objective,
    predict: Predict,
    parameters: list[Tensor],
    config: TrainConfig,
    step: int,
    loss_scale: float,
) -> _Batches:
    """The gradient of a step that several processes share, and what all of its batches gave."""
    first, size = step * config.accumulation, config.batch_size
    batches = [_indices(objective, config, first + micro) for micro in range(config.accumulation)]
    measured, error = Measured.none(size * config.accumulation), None
    try:
        for micro, rows, counts in _own_parts(group, size, config.accumulation):
            into = measured if counts else None
            _add_part(objective, predict, parameters, config, first + micro, loss_scale, batches[micro], rows, into)
    except BaseException as failure:
        if group.splits:  # the others are in the middle of a forward, where they notice that this process ends
            group.leave(failure)
        error = failure  # the others wait for this process, so they are told first
    whole = add_up(group, parameters, measured, error)
    # An optimiser that draws must draw the same numbers everywhere.
    _seed_everything(config.seed, first + config.accumulation - 1, parameters[0].device)
    losses = [part.mean() for part in whole.losses.split(size)]
    return _Batches([whole.losses], [whole.sigmas], [i for indices in batches for i in indices], losses)


def clips_at_once(config: TrainConfig) -> int:
    """How many clips of a step this process computes at once, to begin with; 0 where others take all of them."""
    if processes().count == 1:
        return config.batch_size
    parts = _own_parts(processes(), config.batch_size, config.accumulation)
    return len(parts[0][1]) if parts else 0


def _own_parts(group: Processes, size: int, accumulation: int) -> list[tuple[int, range, bool]]:
    """The parts of a step's batches that this process takes: number of the batch, its rows, and whether they count.

    Where the base is split, all processes make equally many forwards; a clip that is computed for that counts nothing.
    """
    every = []
    for own in group.parts(size * accumulation):
        rows = (range(max(own.start - i * size, 0), min(own.stop - i * size, size)) for i in range(accumulation))
        every.append([(micro, part, True) for micro, part in enumerate(rows) if part])
    parts = every[group.rank]
    missing = max(map(len, every)) - len(parts) if group.splits else 0
    return parts + [(0, range(1), False)] * missing


def _add_part(
    objective: Objective,
    predict: Predict,
    parameters: list[Tensor],
    config: TrainConfig,
    position: int,
    loss_scale: float,
    indices: list[int],
    rows: range,
    measured: Measured | None,
) -> None:
    """Add the gradient of some clips of a batch; with None for what they measure, nothing of it.

    The whole batch is drawn: its numbers are those of one process.
    """
    batch = objective.batch(indices, StepGenerators.at(config.seed, position))
    if len(rows) < len(indices):
        batch = batch.part(rows)
    _seed_everything(config.seed, position, parameters[0].device)
    result = objective.loss(predict, batch.to(parameters[0].device))
    share = 0.0 if measured is None else len(rows) / len(indices)
    backward(result.per_sample.mean() * share / config.accumulation, parameters, loss_scale)
    if measured is not None:
        begin = position % config.accumulation * len(indices) + rows.start
        measured.losses[begin : begin + len(rows)] = result.per_sample.detach()
        measured.sigmas[begin : begin + len(rows)] = result.sigma


def backward(loss: Tensor, parameters: list[Tensor], loss_scale: float) -> None:
    """Gradients of the loss, unscaled and added to those that are there.

    Raises:
        RuntimeError: a parameter gets none, because something on the way has no backward pass.
    """
    earlier = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    if loss.requires_grad:
        (loss * loss_scale).backward()
    missed = sum(parameter.grad is None for parameter in parameters)
    if missed:
        raise RuntimeError(
            f"the loss does not reach {missed} of {len(parameters)} trained tensors, so they cannot learn; "
            "take attention and optimisation patches off the model, or choose target_modules that it uses"
        )
    for parameter, before in zip(parameters, earlier, strict=True):
        if parameter.grad is not None:
            if loss_scale != 1.0:
                parameter.grad.div_(loss_scale)
            if before is not None:
                parameter.grad.add_(before)


def _seed_everything(seed: int, position: int, device: torch.device) -> None:
    """The global streams too are functions of (seed, step), for networks and optimisers that draw from them."""
    number = seeded_generator(seed, position, "global").initial_seed()
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
