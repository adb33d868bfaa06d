"""LoRA adapters on the host's loaded model: which layers, and how they are attached and taken off again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ....training.core.config import ATTENTION_PRESET, module_pattern
from ....training.lora.layers import LoraAdapters
from ....training.storage.patterns import SafePattern
from ..model.families import Family
from .stored_weights import is_linear

INJECTION = "fewshot_video_training"


def select_layers(network: nn.Module, target_modules: str, family: Family) -> dict[str, Any]:
    """Linear layers of the bare network that get an adapter, by name, in the network's order.

    A pattern may also name parts of a fused layer, as ``qkv.q``: that layer is one of them.

    Raises:
        ValueError: nothing matches.
    """
    pattern = module_pattern(target_modules) or re.compile(rf"^(?:{family.attention})$")
    named = {name: layer for name, layer in network.named_modules() if is_linear(layer)}
    layers = {
        name: layer for name, layer in named.items() if pattern.search(name) or any(_parts(name, pattern, family))
    }
    if not layers:
        raise ValueError(
            f"target_modules {target_modules!r} matches no linear layer of {type(network).__name__}; "
            f'use "{ATTENTION_PRESET}" or names such as q, k, v, o'
        )
    return layers


def trained_rows(layers: Mapping[str, Any], target_modules: str, family: Family) -> dict[str, Tensor]:
    """Masks ``[out]`` of the rows that are trained, for the layers of which only parts are named."""
    pattern = module_pattern(target_modules)
    if pattern is None:
        return {}
    partly = {name: _parts(name, pattern, family) for name in layers if not pattern.search(name)}
    return {
        name: torch.cat([torch.full((rows * layers[name].in_features,), float(on)) for on, rows in parts])
        for name, parts in partly.items()
    }


def _parts(name: str, pattern: re.Pattern[str] | SafePattern, family: Family) -> list[tuple[bool, int]]:
    """Of a fused layer: whether each part is named, and its rows over the layer's inputs; nothing where none is."""
    parts = next((parts for layer, parts in family.fused if re.fullmatch(layer, name)), ())
    found = [(bool(pattern.search(f"{name}.{part}")), rows) for part, rows in parts]
    return found if any(on for on, _ in found) else []


@contextmanager
def attached(model: Any, layers: dict[str, Any], adapters: LoraAdapters) -> Iterator[None]:
    """Add the adapters' outputs to their layers' through an injection of the host, and always take them off.

    ``model`` must be a clone that only the caller uses, already loaded: the host takes injections off by
    itself when it loads another clone of the same network.
    """
    from comfy.patcher_extension import PatcherInjection

    handles: list[Any] = []

    def inject(_patcher: Any) -> None:
        eject(_patcher)
        for name, layer in layers.items():
            handles.append(layer.register_forward_hook(_adding(adapters.by_name[name])))

    def eject(_patcher: Any) -> None:
        while handles:
            handles.pop().remove()

    model.eject_model()
    model.set_injections(INJECTION, [PatcherInjection(inject=inject, eject=eject)])
    model.inject_model()
    try:
        yield
    finally:
        model.eject_model()
        eject(model)
        model.remove_injections(INJECTION)


def _adding(adapter: nn.Module) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + adapter(inputs[0])

    return hook
