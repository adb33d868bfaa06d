"""The layers of a LoRA file by the host's names, and back into the names of a tool."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..storage.json_text import parse_json
from .alpha import ALPHA_FORMS, alpha_forms, settings_alpha
from .file import LoraModel
from .fused import LoraLayer, block_ranks, join_parts, split_layer
from .keys import ALPHA, DOWN, UP, KeyTable, diffusers_key, host_key, kohya_key, some, split_key
from .metadata import PREFIX
from .table import bare_name

FORMATS = ("ComfyUI", "diffusers", "kohya")
COMFYUI, DIFFUSERS, KOHYA = FORMATS
PART_RANKS = f"{PREFIX}part_ranks"  # of joined layers, where zeros hide them
HINTS = (PART_RANKS, ALPHA_FORMS)  # what only the way back needs

_KEYS: dict[str, Callable[[str, str], str]] = {COMFYUI: host_key, DIFFUSERS: diffusers_key, KOHYA: kohya_key}
Layers = dict[str, LoraLayer]
_T = TypeVar("_T")


def named_layers(lora: LoraModel, table: KeyTable) -> Layers:
    """The layers by the file's own names without prefix; alphas of its adapter settings are filled in.

    Raises:
        ValueError: there is more than a plain LoRA, a layer is not whole, or it is there twice.
    """
    found: dict[str, dict[str, Tensor]] = {}
    odd = [key for key in lora if split_key(key)[1] not in (UP, DOWN, ALPHA)]
    if odd:
        raise ValueError(
            f"it is a LoHa, LoKr or DoRA, or has biases or norms ({some(odd)}), "
            "and only a plain LoRA can be converted; export it as one"
        )
    for key, value in lora.items():
        layer, role = split_key(key)
        if role in found.setdefault(bare_name(layer), {}):
            raise ValueError(f"it holds the {role} of {layer} twice; keep one adapter in it")
        found[bare_name(layer)][role] = value
    halves = [layer for layer, roles in found.items() if not {UP, DOWN} <= roles.keys()]
    if halves:
        raise ValueError(f"only a part of {some(halves)} is there; copy or train it again")
    layers = {name: LoraLayer(roles[UP], roles[DOWN], roles.get(ALPHA)) for name, roles in found.items()}
    alphas = settings_alpha(lora.metadata)
    return {
        name: layer
        if layer.alpha is not None
        else replace(layer, alpha=alphas(table.to_diffusers(name) or name, layer))
        for name, layer in layers.items()
    }


def read_layers(lora: LoraModel, table: KeyTable) -> tuple[Layers, dict[str, list[int]]]:
    """The layers by the host's names, parts joined; and the ranks of the parts that cannot be told from the zeros.

    Raises:
        ValueError: as ``named_layers``, or parts of a layer cannot be joined.
    """
    whole: Layers = {}
    parts: dict[str, dict[int, LoraLayer]] = {}
    for name, layer in named_layers(lora, table).items():
        host, part = table.to_host(name) or name, table.part_of(name)
        if part is not None:
            parts.setdefault(host, {})[part] = layer
            continue
        if host in whole:
            raise ValueError(f"it holds {host} twice; keep one adapter in it")
        other_way = table.is_swapped(host) and table.is_diffusers(name)
        whole[host] = _swapped(layer) if other_way else layer
    twice = sorted(whole.keys() & parts.keys())
    if twice:
        raise ValueError(f"it holds {some(twice)} whole and in parts; keep one of them")
    ranks = _ranks(lora.metadata)
    for host, found in parts.items():
        whole[host], hidden = _joined(host, found, table)
        ranks |= {host: hidden} if hidden else {}
    return whole, ranks


def layers_in(target: str, layers: Layers, ranks: Mapping[str, list[int]], table: KeyTable) -> Layers:
    """Layers by the host's names as the names of a tool have them: for diffusers fused ones are taken apart.

    Raises:
        ValueError: a fused layer has not the rows of its parts.
    """
    if target != DIFFUSERS:
        return layers
    found: Layers = {}
    for name, layer in layers.items():
        parts = table.parts(name)
        if not parts:
            found[table.to_diffusers(name) or name] = _swapped(layer) if table.is_swapped(name) else layer
            continue
        widths, known = [width for _, width in parts], ranks.get(name)
        split = _about(name, lambda a=layer, b=widths, c=known: split_layer(a, b, c))
        found |= {part: layer for (part, _), layer in zip(parts, split, strict=True) if layer is not None}
    return found


def tensors_of(layers: Layers, target: str) -> dict[str, Tensor]:
    """The tensors of layers that have a tool's names; diffusers keeps alpha in its settings instead."""
    key = _KEYS[target]
    found: dict[str, Tensor] = {}
    for name, layer in layers.items():
        found |= {key(name, UP): layer.up, key(name, DOWN): layer.down}
        if layer.alpha is not None and target != DIFFUSERS:
            found[key(name, ALPHA)] = layer.alpha
    return found


def hints_of(layers: Layers, ranks: Mapping[str, list[int]], target: str) -> dict[str, str]:
    """What the metadata must hold for the way back."""
    if target == DIFFUSERS:
        return alpha_forms(layers)
    return {PART_RANKS: json.dumps(ranks, sort_keys=True)} if ranks else {}


def _joined(host: str, found: Mapping[int, LoraLayer], table: KeyTable) -> tuple[LoraLayer, list[int] | None]:
    """A fused layer of its parts, and their ranks where zeros hide them."""
    widths = [width for _, width in table.parts(host)]
    parts = [found.get(i) for i in range(len(widths))]
    layer = _about(host, lambda: join_parts(parts, widths))
    counts = [part.rank if part else 0 for part in parts]
    seen = block_ranks(layer.up, [width * layer.down.shape[1] for width in widths])
    return layer, counts if layer.rank == sum(counts) and seen != counts else None


def _ranks(metadata: Mapping[str, str]) -> dict[str, list[int]]:
    """Ranks of parts that an earlier conversion noted; a note that does not fit its layer is not used."""
    try:
        noted: Any = parse_json(metadata.get(PART_RANKS, "{}"))
        return {str(layer): [int(rank) for rank in ranks] for layer, ranks in noted.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its {PART_RANKS} is damaged ({error}); remove it or convert the first file again") from error


def _swapped(layer: LoraLayer) -> LoraLayer:
    """The second half of the rows before the first: scale and shift for shift and scale, and back."""
    return replace(layer, up=torch.cat(layer.up.chunk(2)[::-1]))


def _about(layer: str, act: Callable[[], _T]) -> _T:
    """What an act returns; its sentence names the layer."""
    try:
        return act()
    except ValueError as error:
        raise ValueError(f"{layer}: {error}") from error
