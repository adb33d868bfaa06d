"""Small training steps on the real model: the memory and the time they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ....methods.flow import NoiseProcess
from ....training.core.batches import Conditioning
from ....training.core.config import ATTENTION_PRESET, CHECKPOINTING, TrainConfig
from ....training.core.optimizers import make_optimizer
from ....training.core.plan import MARGIN, Network, ProfiledStep, StepShape
from ..layers.adapters import select_layers
from ..layers.checkpointing import transformer_blocks
from ..layers.stored_weights import is_linear, stored_bytes
from ..model.families import Family
from ..model.known_model import KnownModel
from ..services.progress import StepProgress, throw_if_cancelled
from ..session.memory_use import is_out_of_memory, peak_memory
from ..session.placement import Room, free_for_training, has_own_memory, lending_buffer
from ..session.session import Opened, Session, training_session
from ..session.step_size import counted_step

SHARE = 4  # the larger measured step has at least the asked tokens over this
LEAST_TOKENS = 256  # smaller steps say little about large ones
TIMED = 3  # steps of which the fastest counts
UNCOMPILED = "Blocks are measured as they are, not compiled: with compile_blocks the run's steps may take less time."


def plain_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """``mean (prediction - target)^2``, a number."""
    return (prediction - target).square().mean()


@dataclass(frozen=True)
class LargestClip:
    """The largest clip of a data set as the trainer sees it."""

    x0: Tensor  # [C, F, h, w]
    conditioning: Conditioning
    prefix: int  # given latents
    patch: tuple[int, int, int]  # latents of a token in time, height and width
    process: NoiseProcess  # how it is noised
    loss: Callable[[Tensor, Tensor], Tensor] = plain_loss  # of prediction and target
    least: int = 1  # patches in time without which there is no loss
    whole_frames: bool = False  # whether a step grows with the number of frames alone: small ones keep their size


def counted_steps(
    model: KnownModel, config: TrainConfig, clip: LargestClip, opened: Opened = training_session
) -> dict[str, float]:
    """Bytes of a step of the clip at its true size, of each way that is leaner than the asked one."""
    return {
        mode: counted_at_true_size(model, replace(config, checkpointing=mode), clip, opened)
        for mode in leaner_modes(config)
    }


def counted_at_true_size(model: KnownModel, config: TrainConfig, clip: LargestClip, opened: Opened) -> float:
    """Bytes of a step of the clip with these settings."""
    return counted_step(model, config, partial(simulated_step, clip, config), opened)


def leaner_modes(config: TrainConfig) -> tuple[str, ...]:
    """The asked way of checkpointing and those that need less memory."""
    return CHECKPOINTING[CHECKPOINTING.index(config.checkpointing) :]


def simulated_step(clip: LargestClip, config: TrainConfig, session: Session) -> tuple[Tensor, Any]:
    """A step of the clip for ``counted_step``."""
    x0 = torch.empty((config.batch_size, *clip.x0.shape))
    noise = torch.randn_like(x0)
    return _loss(session, config, clip, x0)(noise), (x0, noise)


def measure(
    model: KnownModel,
    config: TrainConfig,
    clip: LargestClip,
    opened: Opened = training_session,
    counted: Mapping[str, float] | None = None,
) -> tuple[dict[str, list[ProfiledStep]], Network, float, list[str]]:
    """Small steps of each way that is leaner than the asked one, the network, the free bytes, and what went wrong.

    ``opened`` is the method's own session; where the asked step is ``counted``, it is given room for that. Free is what
    the device has with no weights on it.
    """
    import comfy.model_management as management

    measured: dict[str, list[ProfiledStep]] = {}
    notes = [UNCOMPILED] if config.compile_blocks else []
    network, free = None, 0.0
    modes, shapes = leaner_modes(config), small_shapes(clip)
    progress = StepProgress(2 * len(modes))
    for i, mode in enumerate(modes):
        room = Room((counted or {}).get(mode, 0.0) * MARGIN)
        # Compiling takes minutes for each of the small steps' shapes.
        with opened(model, replace(config, checkpointing=mode, compile_blocks=False), room=room) as session:
            if network is None:
                network, free = _network(session, model.family), _free(session)
            if mode == CHECKPOINTING[-1] and session.device.type == "cpu" and measured:
                continue  # the blocks' inputs lie there already
            try:
                for j, shape in enumerate(shapes):
                    progress.show(2 * i + j)
                    measured.setdefault(mode, []).append(profile_step(session, config, clip, shape))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                measured.pop(mode, None)
                management.soft_empty_cache()
                notes.append(f"Checkpointing {mode}: even a step of {tuple(shapes[-1][1:])} latents is too large.")
    assert network is not None
    return measured, network, free, notes


def small_shapes(clip: LargestClip) -> list[tuple[int, int, int, int]]:
    """Shapes ``[C, F, h, w]`` of two measured steps: the asked sequence with fewer frames, or smaller ones."""
    channels, frames, height, width = clip.x0.shape
    deep, side = clip.least * clip.patch[0], clip.patch[1]
    most = max(LEAST_TOKENS, _tokens(clip, clip.x0.shape) // SHARE)
    larger = (channels, frames, height, width)
    while _tokens(clip, larger) > most and larger[1] > 2 * deep:
        larger = (channels, larger[1] - deep, height, width)
    while _tokens(clip, larger) > most and larger[2] > side and not clip.whole_frames:
        larger = (channels, larger[1], larger[2] - side, width)
    if larger[1] >= 2 * deep:
        return [(channels, larger[1] // 2 // deep * deep, *larger[2:]), larger]
    return [(channels, larger[1], max(side, larger[2] // 2 // side * side), width), larger]


def profile_step(session: Session, config: TrainConfig, clip: LargestClip, shape: tuple[int, ...]) -> ProfiledStep:
    """One step on a cut-out of the clip: bytes with the adapters, the optimiser and gradients."""
    throw_if_cancelled()
    parameters = list(session.trained.parameters())
    cut = clip.x0[:, : shape[1], : shape[2], : shape[3]]
    x0 = torch.stack([cut] * config.batch_size).to(session.device)
    loss = _loss(session, config, clip, x0)

    def step() -> float:
        begun = _clock(session.device)
        optimizer.zero_grad(set_to_none=True)
        noise = torch.randn_like(x0)  # as long as the step, unlike what is made of it
        (loss(noise) * session.loss_scale).backward()
        optimizer.step()
        return _clock(session.device) - begun

    optimizer, _ = make_optimizer(parameters, replace(config, warmup_steps=0))
    step()  # makes the optimiser's state, and what is made but once
    with peak_memory(session.device) as peak:
        step()
    state = [value for value in tree_leaves(optimizer.state_dict()["state"]) if isinstance(value, Tensor)]
    seconds = min(step() for _ in range(TIMED))
    optimizer.zero_grad(set_to_none=True)
    copies = 1 + (config.accumulation > 1) + bool(config.ema_decay)  # adapters, gradients so far, their average
    memory = peak.bytes + copies * _bytes(parameters) + _bytes([*state, x0])
    return ProfiledStep(step_of(clip, shape, config.batch_size), memory, seconds * config.accumulation)


def _loss(session: Session, config: TrainConfig, clip: LargestClip, x0: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss of a step on ``[B, C, F, h, w]`` as a function of its noise."""
    level = torch.full((x0.shape[0], x0.shape[2])[: 1 + config.per_frame_timesteps], 0.5, device=x0.device)
    process, conditioning = clip.process, [clip.conditioning] * len(x0)
    sigma = process.sigma_at(level)

    def loss(noise: Tensor) -> Tensor:
        xt, target = process.network_input(x0, noise, sigma), process.target(x0, noise, sigma)
        return clip.loss(session.predict(xt, sigma, conditioning), target)

    return loss


def step_of(clip: LargestClip, shape: Any, clips: int) -> StepShape:
    """The step of so many clips cut to a shape ``[C, F, h, w]``."""
    deep, high, wide = clip.patch
    return StepShape(clips, shape[1], min(clip.prefix, shape[1]), shape[2] // high * (shape[3] // wide), deep)


def _tokens(clip: LargestClip, shape: Any) -> int:
    return step_of(clip, shape, 1).tokens


def _network(session: Session, family: Family) -> Network:
    """What the plan must know of the loaded network."""
    patcher = session.predict.model
    network: nn.Module = patcher.model.diffusion_model
    blocks = transformer_blocks(network, family.blocks)
    linears: list[Any] = [layer for block in blocks for layer in block.modules() if is_linear(layer)]
    # Where no frame attends to all others, as in an image network, time grows with the frames alone.
    width = next(iter(select_layers(network, ATTENTION_PRESET, family).values())).in_features if family.attention else 0
    return Network(
        stored=stored_bytes(patcher.model.parameters()),
        buffer=lending_buffer(patcher),
        lendable=has_own_memory(session.device),
        narrow=stored_bytes(layer.weight for layer in linears) <= 1.25 * sum(layer.weight.numel() for layer in linears),
        used=sum(layer.in_features * layer.out_features for layer in linears),
        depth=len(blocks),
        width=width,
    )


def _free(session: Session) -> float:
    """Bytes of the device without weights; the adapters, which are loaded too, count as free."""
    import comfy.model_management as management

    trained = float(_bytes(session.trained.parameters()))
    if has_own_memory(session.device):
        return free_for_training(session.device) + trained
    free: Any = management.get_free_memory(session.device)
    return float(free) + trained + session.placed.resident


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _clock(device: torch.device) -> float:
    if device.type != "cpu" and torch.accelerator.is_available():
        torch.accelerator.synchronize(device)
    return time.perf_counter()
