"""The memory of a step at its true size, counted without computing or allocating it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....training.core.config import TrainConfig
from ..layers.checkpointing import transformer_blocks
from ..layers.simulation import shortened, simulation
from ..layers.stored_weights import is_linear, is_stored_otherwise
from ..model.known_model import KnownModel
from .memory_use import counted_peak
from .session import Opened, Session, training_session

Step = Callable[[Session], tuple[Tensor, Any]]  # the loss of a session, and what else lives to the end of its step

DEPTHS = (4, 8)  # blocks of which a deeper network is counted where all are trained alike
STATE_BYTES = {"adamw": 8.0, "adamw_8bit": 2.1, "adamw_8bit (bitsandbytes)": 2.1, "adafactor": 0.1}  # of a weight
OTHER_STATE = 8.0  # of an optimiser that is not listed
FLOAT, UPDATE = 4.0, 8.0  # bytes of a trained weight, and of its gradient with what AdamW makes while it updates


@dataclass(frozen=True)
class _Count:
    """What one simulated step took, in bytes."""

    first: float  # peak until half of the trained weights have their gradients
    second: float  # peak after that
    weights: float  # numbers that are trained

    def at(self, deeper: _Count, blocks: float) -> _Count:
        """The line through this count and a deeper one; ``blocks`` is 0 here and 1 there."""
        pairs = zip(vars(self).values(), vars(deeper).values(), strict=True)
        return _Count(*(low + (high - low) * blocks for low, high in pairs))


def counted_step(
    model: KnownModel,
    config: TrainConfig,
    step: Step,
    opened: Opened = training_session,
) -> float:
    """Bytes beside the weights at the peak of a training step, with what is trained, gradients and the optimiser.

    Forward and backward pass run on tensors that have a shape and no numbers, and are counted as a CPU's are; kernels
    of a GPU may keep some more beside them. Of a deep network whose blocks are all trained and checkpointed alike, 4
    and 8 blocks are counted: the peak until half of the gradients are there grows with the blocks' kept inputs, the
    peak after that with the gradients, both in straight lines.

    Args:
        model: Its weights may lie anywhere, on no device too; they are not read.
        config: Settings of the run.
        step: It is called with sessions whose networks compute shapes alone.
        opened: The method's own session.
    """
    patcher = model.model
    patcher.model_size()  # the host keeps what it finds first, which must be that of the whole network
    dtype = patcher.model.get_dtype_inference()
    depth = len(transformer_blocks(patcher.model.diffusion_model, model.family.blocks))
    alike = opened is training_session and not config.target_modules.startswith("regex:") and not config.kept_blocks
    if alike and depth > DEPTHS[1]:
        low, high = (_count(model, config, step, opened, blocks) for blocks in DEPTHS)
        count = low.at(high, (depth - DEPTHS[0]) / (DEPTHS[1] - DEPTHS[0]))
    else:
        count = _count(model, config, step, opened)
    copies = 1 + (config.accumulation > 1) + bool(config.ema_decay)  # weights, gradients so far, their average
    a_weight = FLOAT * copies + STATE_BYTES.get(config.optimizer, OTHER_STATE)
    peak = max(count.first, count.second, UPDATE * count.weights)
    return peak + a_weight * count.weights + unpacked_bytes(patcher, dtype)


def _count(
    model: KnownModel,
    config: TrainConfig,
    step: Step,
    opened: Opened,
    blocks: int | None = None,
) -> _Count:
    patcher, peaks = model.model, []
    dtype = patcher.model.get_dtype_inference()
    network = patcher.model.diffusion_model
    less = nullcontext() if blocks is None else shortened(network, model.family.blocks, blocks)
    with (
        less,
        torch.inference_mode(False),
        simulation(dtype),
        opened(model, replace(config, warmup_steps=0)) as session,
    ):
        parameters, done = list(session.trained.parameters()), []
        with counted_peak(session.device) as peak:

            def got(parameter: Tensor) -> None:
                done.append(parameter)
                if len(done) == len(parameters) // 2:
                    peaks.append(peak.take())

            hooks: list[Any] = [one.register_post_accumulate_grad_hook(got) for one in parameters]
            loss, held = step(session)
            loss.backward()
            del held
            for hook in hooks:
                hook.remove()
            peaks.append(peak.take())
        done.clear()
        return _Count(peaks[0], peaks[-1], sum(parameter.numel() for parameter in parameters))


def unpacked_bytes(patcher: Any, dtype: torch.dtype) -> int:
    """The largest weight of a layer in the type that it is computed in, where that is not the one it is stored in."""
    layers: list[Any] = [layer for layer in patcher.model.diffusion_model.modules() if is_linear(layer)]
    sizes = (layer.in_features * layer.out_features for layer in layers if is_stored_otherwise(layer, dtype))
    return max(sizes, default=0) * dtype.itemsize
