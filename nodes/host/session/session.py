"""Training on the host's loaded model: its output as a plain callable, and the state it must be in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ....training.aicl.reading import split_reading
from ....training.core.batches import Conditioning
from ....training.core.config import TrainConfig
from ....training.data.encoding import POOLED
from ....training.lora.layers import LoraAdapters
from ..layers.adapters import attached, select_layers, trained_rows
from ..layers.autograd import gradients, ordinary_weights
from ..layers.checkpointing import checkpointed_blocks
from ..layers.frozen_layers import recast_in_backward
from ..layers.in_place import kept_inputs
from ..layers.simulation import moved
from ..layers.small_parameters import small_parameters_on
from ..model.families import find_family
from ..model.ltx import FRAME_RATE, per_token, without_sound
from ..model.noise import process_of
from ..model.video_model import VideoModel
from ..model.vision import CLIP_VISION, as_output
from .compiling import Blocks, compiled_if_asked
from .placement import ALL, Placed, Room, load_for_training
from .splitting import more_calls, split_base

log = logging.getLogger(__name__)

REACH = 10  # operations between an attention's product and its output
LOSS_SCALE = 2.0**14  # keeps an fp16 network's gradients above its smallest number and below its largest


class HostPredictor:
    """``predict(xt, sigma, conditioning)`` of a network loaded by the host, its output as it comes.

    Does what the host's ``apply_model`` does between scaling the input and making x0 of the output: ``xt`` is
    ``NoiseProcess.network_input`` and the output ``NoiseProcess.target``.
    """

    kernel: str | None = None  # of attention, once one has run with gradients
    compiled = False  # whether its blocks are, which attention is then left out of

    def __init__(self, model: Any) -> None:
        """Take a host MODEL.

        Raises:
            ValueError: the network predicts no velocity.
        """
        process_of(model)  # refuses what no objective is made for
        self.model = model
        self.base = model.model
        self.family = find_family(model)
        self.sampling = model.get_model_object("model_sampling")

    def __call__(self, xt: Tensor, sigma: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """Output ``[B, C, T, H, W]`` fp32; ``xt`` in the model's space, sigma ``[B]`` or ``[B, T]``.

        Clips whose captions have other numbers of tokens go through the network apart, as if each were alone: padding
        would be attended to, and the host's own way, repeating tokens, fails on Wan.
        """
        alike = alike_indices(conditioning)
        more = more_calls(len(alike))
        if len(alike) == 1 and not more:
            return self.predict_alike(xt, sigma, conditioning)
        outputs: list[Tensor | None] = [None] * len(xt)
        for indices in alike:
            places = torch.tensor(indices, device=xt.device)
            part = self.predict_alike(xt[places], sigma[places.to(sigma.device)], [conditioning[i] for i in indices])
            for i, output in zip(indices, part.unbind(0), strict=True):
                outputs[i] = output
        whole = torch.stack([output for output in outputs if output is not None])
        for _ in range(more):
            whole = whole + 0.0 * self.predict_alike(xt[:1], sigma[:1], conditioning[:1]).sum()
        return whole

    def predict_alike(self, xt: Tensor, sigma: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """The same for clips whose conditioning can be stacked."""
        dtype = self.base.get_dtype_inference()
        conds = self._conds(xt, conditioning, dtype)
        x = xt.to(dtype)
        concat = conds.pop("c_concat", None)
        if concat is not None:
            x = torch.cat([x, concat], dim=1)
        timestep = self.sampling.timestep(sigma).float()
        tokens = self.family is not None and self.family.per_token_timesteps and timestep.ndim == 2
        timestep = self.base.process_timestep(per_token(timestep, xt) if tokens else timestep, x=xt, **conds)
        context = conds.pop("c_crossattn", None)
        if self.family is not None and self.family.sound:
            x, timestep = without_sound(x, timestep[0])
        return self._network(x, timestep, context, self._options(sigma), conds).float()

    def _network(self, x: Any, timestep: Any, context: Any, options: dict[str, Any], conds: Any) -> Tensor:
        try:
            return self.base.diffusion_model(
                x, timestep, context=context, control=None, transformer_options=options, **conds
            )
        except KeyError as error:  # of a patch that reads what only a sampler's run has
            raise RuntimeError(
                f"a patch on the model needs {error} of the sampling, which training does not have; take the node that "
                "put it on off in front of the Train node"
            ) from error

    def _options(self, sigma: Tensor) -> dict[str, Any]:
        """What patches are told, under the host's names; of noise levels per frame the clip's highest."""
        level = sigma if sigma.ndim == 1 else sigma.amax(dim=1)
        return {
            **self.model.model_options.get("transformer_options", {}),
            "optimized_attention_override": torch.compiler.disable(self._attention)
            if self.compiled
            else self._attention,
            "sigmas": level,
            "cond_or_uncond": [0],
        }

    def _attention(self, chosen: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        output = differentiable_attention(chosen, *args, **kwargs)
        if self.kernel is None and output.grad_fn is not None:
            self.kernel = attention_kernel(output)
        return output

    def _conds(self, xt: Tensor, conditioning: Sequence[Conditioning], dtype: torch.dtype) -> dict[str, Any]:
        """Further network inputs, made by the model's own ``extra_conds`` and joined over the batch."""
        made = [self._extra_conds(xt[i : i + 1], cond) for i, cond in enumerate(conditioning)]
        joined = {}
        for name, first in made[0].items():
            value = first.concat([other[name] for other in made[1:]])
            joined[name] = _cast(value, dtype, xt.device)
        return joined

    def _extra_conds(self, xt: Tensor, conditioning: Conditioning) -> dict[str, Any]:
        """One clip's, with a batch dimension of 1."""
        # A copy, because the host changes latents of known frames in place.
        batched: dict[str, Any] = {name: value[None].to(xt.device, copy=True) for name, value in conditioning.items()}
        batched.setdefault(POOLED, None)  # which the host asks for by its name, also where an encoder gives none
        if CLIP_VISION in batched:
            batched[CLIP_VISION] = as_output(batched[CLIP_VISION])
        if FRAME_RATE in batched:
            batched[FRAME_RATE] = float(batched[FRAME_RATE])
        conds = self.base.extra_conds(
            **batched,
            noise=xt,
            device=xt.device,
            width=xt.shape[-1] * 8,
            height=xt.shape[-2] * 8,
            prompt_type="positive",
        )
        return {name: cond.process_cond(batch_size=1, area=None) for name, cond in conds.items()}


def alike_indices(conditioning: Sequence[Conditioning]) -> list[list[int]]:
    """The clips of a batch whose captions have equal shapes, and in the order in which these come first."""
    groups: dict[Any, list[int]] = {}
    for i, entries in enumerate(conditioning):
        plain, _ = split_reading(entries)
        shapes = tuple((name, tuple(value.shape)) for name, value in sorted(plain.items()))
        groups.setdefault(shapes, []).append(i)
    return list(groups.values())


class Trainable(Protocol):
    """What is trained in a session: layers by name."""

    names: Sequence[str]  # in a fixed order; a checkpoint is not loaded into others

    def parameters(self) -> Iterable[Tensor]:
        """The trained tensors, in a fixed order."""
        ...

    def tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """A copy on the CPU, as a file holds it."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Session:
    """What a run needs while the model is prepared for it."""

    predict: Any  # a ``Predict``; HostPredictor or one that wraps it
    trained: Any  # a ``Trainable``
    placed: Placed
    loss_scale: float = 1.0  # factor on the loss during the backward pass
    blocks: Blocks = field(default_factory=Blocks)  # how they are computed
    checkpointing: str = ""  # what of them is computed again, in words

    @property
    def device(self) -> torch.device:
        """Where the steps are computed."""
        return self.placed.device


class Opened(Protocol):
    """A method's session: prepares a model for the time of a run."""

    def __call__(self, model: Any, config: TrainConfig, /, *, room: Room = ALL) -> AbstractContextManager[Session]: ...


def differentiable_attention(_chosen: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """The host's PyTorch attention in place of the one it was started with, which may have no backward pass."""
    from comfy.ldm.modules.attention import attention_pytorch

    return attention_pytorch(*args, **kwargs)


def attention_kernel(output: Tensor) -> str:
    """PyTorch's kernel that has made an attention's output, by what is kept for its gradient; "" where none is."""
    nodes = [output.grad_fn]
    for _ in range(REACH):
        names = [type(node).__name__ for node in nodes if node is not None]
        fused = next((name for name in names if name.startswith("ScaledDotProduct")), None)
        if fused is not None:
            return fused.removeprefix("ScaledDotProduct").partition("Backward")[0]
        if any("Softmax" in name for name in names):
            return "Math, which keeps the whole matrix"
        nodes = [before for node in nodes if node is not None for before, _ in node.next_functions]
    return ""


@contextmanager
def training_session(video: VideoModel, config: TrainConfig, room: Room = ALL) -> Iterator[Session]:
    """Load the model through the host, attach fresh adapters, leave inference mode; undo it at the end.

    Weights are neither copied nor changed. Enter this before tensors are made that the run is to learn from.
    """
    clone = static_clone(video.model)
    with gradients():
        predict = HostPredictor(clone)
        network = clone.model.diffusion_model
        layers = select_layers(network, config.target_modules, video.family)
        loss_scale = avoid_vanishing(clone)
        placed = load_for_training(clone, room)
        rows = trained_rows(layers, config.target_modules, video.family)
        adapters = moved(LoraAdapters(layers, config.rank, config.lora_alpha, config.seed, rows), placed.device)
        with (
            attached(clone, layers, adapters),
            ordinary_weights(clone.model),
            small_parameters_on(network, placed.device),
            recast_in_backward(network, clone.model.get_dtype_inference(), placed.device),
            kept_inputs(network, video.family.blocks, video.family.changes_tokens),
            compiled_if_asked(predict, video, config, placed.device) as blocks,
            checkpointed_blocks(network, video.family.blocks, config.checkpointing, config.kept_blocks) as again,
            split_base(clone, video.family.blocks, placed) as placed,
        ):
            yield Session(predict, adapters, placed, loss_scale, blocks, again)


def avoid_vanishing(model: Any) -> float:
    """Keep gradients from vanishing in fp16: compute in bf16, or return what to scale the loss with.

    ``model`` is a clone that is not loaded yet; the host takes the other type back with the next load.
    """
    import comfy.model_management as management

    if model.model.get_dtype_inference() != torch.float16:
        return 1.0
    if hasattr(model, "set_model_compute_dtype") and management.should_use_bf16(model.load_device):
        model.set_model_compute_dtype(torch.bfloat16)
        log.info("the model computes in fp16, in which small gradients vanish; it is trained in bf16")
        return 1.0
    log.info("the model computes in fp16, in which small gradients vanish; the loss is scaled by %g", LOSS_SCALE)
    return LOSS_SCALE


def static_clone(model: Any) -> Any:
    """A clone over the same weights; where the host pages weights in and out, its fixed counterpart.

    Pages may be evicted between forward and backward, which would give wrong gradients without an error.
    """
    if not getattr(model, "is_dynamic", lambda: False)():
        return model.clone()
    if model.cached_patcher_init is None:
        raise RuntimeError(
            "the model was loaded in a way that cannot be repeated without dynamic VRAM; "
            "load it with a stock loader, or start ComfyUI with --disable-dynamic-vram"
        )
    return model.clone(disable_dynamic=True)


def _cast(cond: Any, dtype: torch.dtype, device: torch.device) -> Any:
    if isinstance(cond, list):
        return [_cast(part, dtype, device) for part in cond]
    if not isinstance(cond, Tensor):
        return cond
    return cond.to(device, dtype if cond.is_floating_point() else None)
