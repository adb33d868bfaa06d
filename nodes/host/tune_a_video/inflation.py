"""The host's image UNet made to see clips, by patches alone: no second network and no copied weights.

``.forward`` of a block and of its self-attention are replaced, never a block itself: the weights keep their names, so
that LoRAs still find them. The frames of a clip are the host's batch of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

from torch import Tensor

from ....methods.tune_a_video import GROUP_NORMS, PER_FRAME, POOLED, TemporalLayers, pooled_over_frames
from ..model.forwards import replace_forward
from ..model.image_model import base_of
from ..services.devices import managed
from ..services.keys import TUNE_A_VIDEO_KEY
from .clip_attention import frames_of, parts_of, sparse_causal_forward, temporal_forward

NORMS = ("in_layers.0", "out_layers.0")  # of a residual block


@dataclass(frozen=True)
class Inflation:
    """How a MODEL sees clips."""

    layers: tuple[tuple[TemporalLayers, float], ...] = ()  # temporal attention and its strength
    group_norms: str = PER_FRAME
    sparse_causal: bool = True
    frames: list[int] = field(default_factory=list)  # of the call under way, for patches that do not see its parts


def blocks_of(model: Any) -> dict[str, Any]:
    """The transformer blocks of the bare network by name, in the network's order."""
    from comfy.ldm.modules.attention import BasicTransformerBlock

    modules = model.model.diffusion_model.named_modules()
    return {name: module for name, module in modules if isinstance(module, BasicTransformerBlock)}


def inflate(
    model: Any,
    layers: TemporalLayers | None = None,
    strength: float = 1.0,
    group_norms: str = PER_FRAME,
    causal: bool = True,
) -> Any:
    """A clone of ``model`` whose self-attention is sparse-causal, with the temporal attention of ``layers``.

    Raises:
        ValueError: the model is no Stable Diffusion, or the clone has other settings already.
    """
    base_of(model)
    if group_norms not in GROUP_NORMS:
        raise ValueError(f"group norms {group_norms!r} are not known; use one of {', '.join(GROUP_NORMS)}")
    clone = model.clone()
    inflation = clone.get_attachment(TUNE_A_VIDEO_KEY) or Inflation((), group_norms, causal)
    if (inflation.group_norms, inflation.sparse_causal) != (group_norms, causal):
        raise ValueError(
            f"the model already has Tune-A-Video with group norms {inflation.group_norms} and sparse-causal attention "
            f"{_on(inflation.sparse_causal)}, and this one asks for {group_norms} and {_on(causal)}; choose the same"
        )
    if layers is not None:
        inflation = replace(inflation, layers=(*inflation.layers, (layers, strength)))
        _manage(clone, layers)
    clone.set_attachments(TUNE_A_VIDEO_KEY, inflation)
    _patch(clone, inflation)
    return clone


def _on(switch: bool) -> str:
    return "on" if switch else "off"


def _patch(clone: Any, inflation: Inflation) -> None:
    for name in blocks_of(clone):
        if inflation.sparse_causal:
            replace_forward(clone, f"{name}.attn1", sparse_causal_forward)
        if inflation.layers:
            # The network may stay patched when the MODEL is gone; the layers must go with the MODEL.
            temporal = [(ref(layers.by_name[name]), strength) for layers, strength in inflation.layers]
            replace_forward(clone, name, partial(temporal_forward, temporal))
    if inflation.group_norms == POOLED:
        _pool_norms(clone, inflation.frames)


def _manage(clone: Any, layers: TemporalLayers) -> None:
    """Let the host load and unload temporal layers with the model, and copy them with it for further devices."""
    from comfy.patcher_extension import CallbacksMP

    patcher = managed(layers, clone.load_device)
    clone.set_additional_models(TUNE_A_VIDEO_KEY, [*clone.get_additional_models_with_key(TUNE_A_VIDEO_KEY), patcher])
    for moment in (CallbacksMP.ON_DEEPCLONE_MULTIGPU, CallbacksMP.ON_MATCH_MULTIGPU_CLONES):
        clone.remove_callbacks_with_key(moment, TUNE_A_VIDEO_KEY)
        clone.add_callback_with_key(moment, TUNE_A_VIDEO_KEY, _with_its_own_layers)


def _with_its_own_layers(model: Any, clone: Any) -> None:
    """Let a clone for another device have the copies of the temporal layers that are there."""
    copies = {one.clone_base_uuid: one.model for one in clone.get_additional_models_with_key(TUNE_A_VIDEO_KEY)}
    mine = {one.model: copies.get(one.clone_base_uuid, one.model)
            for one in model.get_additional_models_with_key(TUNE_A_VIDEO_KEY)}  # fmt: skip
    inflation = clone.get_attachment(TUNE_A_VIDEO_KEY)
    inflation = replace(inflation, layers=tuple((mine[layers], strength) for layers, strength in inflation.layers))
    clone.set_attachments(TUNE_A_VIDEO_KEY, inflation)
    _patch(clone, inflation)


def _pool_norms(clone: Any, frames: list[int]) -> None:
    """Norms of the residual blocks and of the output take their statistics over a clip, as in the reference."""
    from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
    from comfy.patcher_extension import WrappersMP

    def with_frames(executor: Any, x: Tensor, *args: Any, **options: Any) -> Tensor:
        told = options.get("transformer_options") or [a for a in args if isinstance(a, dict)][-1]  # behind the control
        frames.append(frames_of(x.shape[0], parts_of(told)))
        try:
            return executor(x, *args, **options)
        finally:
            frames.pop()

    def pooled(original: Callable[..., Tensor], x: Tensor) -> Tensor:
        return pooled_over_frames(original, x, frames[-1])

    network = clone.model.diffusion_model
    blocks = [name for name, module in network.named_modules() if isinstance(module, ResBlock)]
    for name in [f"{block}.{norm}" for block in blocks for norm in NORMS] + ["out.0"]:
        replace_forward(clone, name, pooled)
    clone.remove_wrappers_with_key(WrappersMP.DIFFUSION_MODEL, TUNE_A_VIDEO_KEY)
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, TUNE_A_VIDEO_KEY, with_frames)
