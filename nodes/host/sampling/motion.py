"""A LoRA that acts in a part of the sampling only: the host's weight hooks, put on a MODEL instead of a prompt.

The host hangs hooks on conditioning, where its keyframes schedule them. Here the hook's weights are registered on the
MODEL, and at each evaluation the conditioning on its way to the network is shown with the hooks whose windows hold the
noise level. The host then patches the weights, keeps the original ones aside and puts them back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from ....training.lora.file import LoraModel
from ....training.lora.metadata import from_metadata
from ..layers.frozen_layers import has_packed_layers
from ..layers.stored_weights import quantised_as
from ..model.experts import mark_expert
from ..model.loras import fitting_patches
from ..model.noise import loaded_model
from ..services.keys import MOTION_KEY

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Windowed:
    """A LoRA's hook and the part of the sampling in which it acts."""

    hook: Any  # host WeightHook, whose patches are registered on the MODEL
    start: float  # share of the sampling, in [0, 1]
    end: float

    @property
    def always(self) -> bool:
        """Whether it acts at every noise level."""
        return self.start <= 0.0 and self.end >= 1.0

    def sigmas(self, sampling: Any) -> tuple[float, float]:
        """First and last sigma at which it acts, in the schedule of the host's ``model_sampling``."""
        first = float(sampling.percent_to_sigma(self.start)) if self.start > 0.0 else math.inf
        return first, float(sampling.percent_to_sigma(self.end))


def apply_motion(model: Any, lora: LoraModel | dict[str, Tensor], strength: float, start: float, end: float) -> Any:
    """A clone of ``model`` with the LoRA active between two points of the sampling; several of them add up.

    Within the window the weights are ``W + strength (alpha / rank) B A``, outside they are W, bit for bit.

    Args:
        lora: LORA_MODEL, ours or the host's.
        strength: 0 changes nothing.
        start: share of the sampling from which on it acts, in [0, 1]; with ``end`` before it never.

    Raises:
        ValueError: the LoRA does not fit the model, or the model's weights or the way it was loaded take no hooks.
    """
    from comfy.hooks import WeightHook
    from comfy.patcher_extension import WrappersMP

    lora = lora if isinstance(lora, LoraModel) else LoraModel(lora, getattr(lora, "metadata", None))
    name, loaded = lora.metadata.get("modelspec.title", "the LoRA"), loaded_model(model)
    if not lora:
        log.info("the LoRA is empty, because that stage of its training was left out; the model stays as it is")
        return loaded.model.clone()
    patches = fitting_patches(loaded, lora, strength, name)
    if strength == 0.0 or start > end:  # never
        return loaded.model.clone()
    _check_plain(model)
    clone = hookable(loaded.model)
    mark_expert(clone, from_metadata(lora.metadata).get("expert", ""), name)
    hook = WeightHook()
    clone.add_hook_patches(hook, patches, strength)
    (before,) = clone.get_wrappers(WrappersMP.CALC_COND_BATCH, MOTION_KEY) or (Schedule(()),)
    clone.remove_wrappers_with_key(WrappersMP.CALC_COND_BATCH, MOTION_KEY)
    schedule = Schedule((*before.loras, Windowed(hook, start, end)))
    clone.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, MOTION_KEY, schedule)
    return clone


class Schedule:
    """Wrapper of the host's evaluation of the prompts: shows them with the hooks that act at the noise level.

    Why not the host's keyframes: they only go forward, one at a time, and hold each for a step at least. A sampler that
    comes back to a higher level (restarts, midpoints) would get the wrong weights, and a short window would be longer.
    """

    uncounted = ("_own",)  # see ``digest_of``

    def __init__(self, loras: Sequence[Windowed]) -> None:
        self.loras = tuple(loras)
        self._windows: WeakKeyDictionary[Any, list[tuple[float, float]]] = WeakKeyDictionary()
        # The host tells hooks apart by their group's identity, so each set of them has one group.
        self._own: dict[tuple[int, ...], Any] = {}
        self._joined: WeakKeyDictionary[Any, dict[tuple[int, ...], Any]] = WeakKeyDictionary()

    def __call__(
        self, executor: Any, model: Any, conds: list[Any], x: Tensor, timestep: Tensor, options: dict[str, Any]
    ) -> Any:
        """``timestep`` is the sigma of each sample, all the same; ``conds`` are lists of prompts, or None."""
        acting = self._acting(model.model_sampling, timestep)
        if acting:
            conds = [prompts and [self._hooked(one, acting) for one in prompts] for prompts in conds]
        return executor(model, conds, x, timestep, options)

    def _acting(self, sampling: Any, timestep: Tensor) -> tuple[int, ...]:
        """Numbers of the LoRAs that act; the ends of a window count as they do for the host's conditioning."""
        if all(one.always for one in self.loras):
            return tuple(range(len(self.loras)))  # without reading the level, which waits for the device
        if sampling not in self._windows:
            self._windows[sampling] = [one.sigmas(sampling) for one in self.loras]
        level = float(timestep.flatten()[0])
        return tuple(i for i, (first, last) in enumerate(self._windows[sampling]) if last <= level <= first)

    def _hooked(self, prompt: dict[str, Any], acting: tuple[int, ...]) -> dict[str, Any]:
        return {**prompt, "hooks": self._group(prompt.get("hooks"), acting)}

    def _group(self, others: Any, acting: tuple[int, ...]) -> Any:
        """The group of the acting hooks, together with those that the prompt has of its own."""
        from comfy.hooks import HookGroup

        if acting not in self._own:
            self._own[acting] = HookGroup()
            for i in acting:
                self._own[acting].add(self.loras[i].hook)
        own = self._own[acting]
        if others is None:
            return own
        joined = self._joined.setdefault(others, {})
        if acting not in joined:
            joined[acting] = others.clone_and_combine(own)
        return joined[acting]


def _check_plain(model: Any) -> None:
    """Refuse weights that the host's hooks cannot change; they would fail half-way, or do nothing and not say so.

    Raises:
        ValueError: the weights are quantised or packed.
    """
    packed = "packed by another node pack" if has_packed_layers(model.model.diffusion_model) else ""
    kind = quantised_as(model) or packed
    if kind:
        raise ValueError(
            f"the {type(model.model).__name__}'s weights are {kind}, which the host cannot change while it samples; "
            "load the fp16 or bf16 file, or put the LoRA on for the whole sampling with Load LoRA"
        )


def hookable(model: Any) -> Any:
    """A clone on which the host can change weights while it samples, which it cannot where it pages them."""
    if not getattr(model, "is_dynamic", lambda: False)():
        return model.clone()
    if model.cached_patcher_init is None:
        raise ValueError(
            "the model was loaded in a way that takes no schedule of a LoRA with dynamic VRAM; load it with a stock "
            "loader, or start ComfyUI with --disable-dynamic-vram"
        )
    return model.get_non_dynamic_delegate()
