"""How strongly each layer of a LoRA file acts, where its tensors do not say it themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

from .alpha import adapter_settings, settings_scale, trained_alpha
from .keys import ALPHA, DOWN, split_key

# The matrix of PEFT's LoHa and LoKr that takes the scale on: the product is linear in it.
SCALED = ("hada_w1_a", "lokr_w1", "lokr_w1_a")
LYCORIS = ("hada_", "lokr_")
SUPPORTED = ("LORA", "LOHA", "LOKR")  # PEFT's names


def add_scales(
    tensors: MutableMapping[str, Tensor],
    layers: Iterable[str],
    metadata: Mapping[str, str],
    diffusers_name: Callable[[str], str],
) -> str:
    """Give layers without an alpha the scale of the file's adapter settings; a sentence where there are none.

    Args:
        tensors: by layer and role; changed in place.
        layers: of the tensors, those that the model has.
        metadata: of the file.
        diffusers_name: of a layer, for settings that differ by layer.

    Raises:
        ValueError: the settings are damaged or of another kind, or do not fit the layers.
    """
    settings = adapter_settings(metadata)
    _check_kind(settings)
    roles: dict[str, set[str]] = {}
    for key in tensors:
        layer, role = split_key(key)
        roles.setdefault(layer, set()).add(role)
    bare = [layer for layer in layers if ALPHA not in roles[layer] and _is_product(roles[layer])]
    for layer in bare:
        if DOWN in roles[layer]:
            down = next(value for key, value in tensors.items() if split_key(key) == (layer, DOWN))
            alpha = trained_alpha(settings, diffusers_name(layer), down.shape[0])
            if alpha is not None:
                tensors[f"{layer}.{ALPHA}"] = torch.tensor(alpha, dtype=torch.float64)
        else:
            _scale(tensors, layer, settings_scale(settings, diffusers_name(layer)))
    if not bare or settings.get("lora_alpha") is not None:
        return ""
    return (
        f"{len(bare)} layers of the file hold no alpha and no settings lie beside it, so alpha is taken for their rank "
        "(1 times the product is added); if it was trained with another alpha, set the strength to alpha / rank"
    )


def _is_product(roles: Iterable[str]) -> bool:
    return any(role == DOWN or role.startswith(LYCORIS) for role in roles)


def _scale(tensors: MutableMapping[str, Tensor], layer: str, scale: float | None) -> None:
    if scale in (None, 1.0):
        return
    key = next(key for role in SCALED if (key := f"{layer}.{role}") in tensors)
    tensors[key] = tensors[key].float() * scale


def _check_kind(settings: Mapping[str, Any]) -> None:
    kind = settings.get("peft_type")
    if kind is not None and str(kind).upper() not in SUPPORTED:
        raise ValueError(f"the file is a {kind} of PEFT; {', '.join(SUPPORTED)} can be read")
    if settings.get("fan_in_fan_out"):
        raise ValueError(
            "the file's settings say fan_in_fan_out, which no video network has; check what it was made for"
        )
