"""Alpha of LoRAs that keep it in their metadata, as PEFT's settings, instead of a tensor for each layer."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..storage.json_text import parse_json
from ..storage.patterns import SafePattern
from .fused import LoraLayer, number_like, same_bits
from .metadata import PREFIX

# Source: diffusers loaders/lora_base.py, and finetrainers/trainer/sft_trainer/trainer.py of kinam0252/TIC-FT.
CONFIG_KEYS = ("lora_adapter_metadata", "lora_config")
NETWORK_PREFIX = "transformer."  # diffusers puts a pipeline's parts into one set of settings
ALPHA_FORMS = f"{PREFIX}alpha_tensors"  # layers by type and shape of their alpha, unless all have a plain one


def adapter_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """PEFT's settings in the metadata of a file; empty where it has none.

    Raises:
        ValueError: they are damaged.
    """
    text = next((metadata[key] for key in CONFIG_KEYS if key in metadata), "{}")
    try:
        settings = parse_json(text)
    except ValueError as error:
        raise ValueError(f"the LoRA's adapter settings are damaged ({error}); copy or export it again") from error
    if not isinstance(settings, dict):
        raise ValueError(f"the LoRA's adapter settings are {text[:40]!r} instead of named values; export it again")
    own = {key.removeprefix(NETWORK_PREFIX): settings[key] for key in settings if key.startswith(NETWORK_PREFIX)}
    found = own or settings
    if found.get("alpha") is not None:  # PEFT's word for it in a LoHa and a LoKr
        found = {**found, "lora_alpha": found.get("lora_alpha", found["alpha"])}
    return found


def trained_alpha(settings: Mapping[str, Any], layer: str, rank: int) -> float | None:
    """The alpha a layer was trained with, so that alpha / rank is PEFT's scale; None where the settings have none.

    The scale is ``lora_alpha / r``, with rank-stabilised LoRA ``lora_alpha / sqrt(r)``; patterns of layers may
    have values of their own.

    Args:
        settings: from ``adapter_settings``.
        layer: diffusers' name of the layer, without a prefix.
        rank: rows of the layer's down matrix.

    Raises:
        ValueError: the settings are damaged, or of another rank than the layer.

    Source: PEFT's LoraConfig; arXiv 2106.09685 section 4.1, arXiv 2312.03732 for the root.
    """
    if settings.get("lora_alpha") is None:
        return None
    alpha = _value(settings, "alpha_pattern", "lora_alpha", layer)
    if settings.get("r") is not None and _value(settings, "rank_pattern", "r", layer) != rank:
        raise ValueError(
            f"the LoRA's adapter settings say rank {_value(settings, 'rank_pattern', 'r', layer):g} for {layer}, "
            f"which has rank {rank}; export it again with its own settings"
        )
    return alpha * math.sqrt(rank) if settings.get("use_rslora") else alpha


def settings_scale(settings: Mapping[str, Any], layer: str) -> float | None:
    """``alpha / r`` of a layer as the settings have them; None where they have none.

    Raises:
        ValueError: the settings are damaged.
    """
    if settings.get("lora_alpha") is None or settings.get("r") is None:
        return None
    rank = _value(settings, "rank_pattern", "r", layer)
    if rank <= 0:
        raise ValueError(f"the LoRA's adapter settings are damaged (rank {rank:g}); export it again")
    return _value(settings, "alpha_pattern", "lora_alpha", layer) / rank


def _value(settings: Mapping[str, Any], patterns: str, name: str, layer: str) -> float:
    """The value of the first pattern that matches the end of a layer's name, else the general one."""
    try:
        named = (settings.get(patterns) or {}).items()
        own = (v for key, v in named if SafePattern(rf"(.*\.)?({key})").fullmatch(layer))
        value = float(next(own, settings[name]))
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number")
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the LoRA's adapter settings are damaged ({name}: {error}); export it again") from error
    return value


def settings_alpha(metadata: Mapping[str, str]) -> Callable[[str, LoraLayer], Tensor | None]:
    """A function from diffusers' name of a layer without an alpha and the layer to the alpha of the file's settings.

    Raises:
        ValueError: the settings are damaged; at the call also as ``trained_alpha``.
    """
    settings = adapter_settings(metadata)
    forms = _forms_by_layer(metadata)

    def find(name: str, layer: LoraLayer) -> Tensor | None:
        alpha = trained_alpha(settings, name, layer.rank)
        if alpha is None or (forms is not None and name not in forms):
            return None
        return number_like(Fraction(alpha), torch.zeros(()) if forms is None else forms[name])

    return find


def alpha_forms(layers: Mapping[str, LoraLayer]) -> dict[str, str]:
    """Metadata with type and shape of the layers' alphas; empty where all have a plain one, or none has any."""
    alphas = {name: layer.alpha for name, layer in layers.items() if layer.alpha is not None}
    plain = (same_bits(alpha, number_like(Fraction(alpha.item()), torch.zeros(()))) for alpha in alphas.values())
    if not alphas or (len(alphas) == len(layers) and all(plain)):
        return {}
    forms: dict[str, list[str]] = {}
    for name, alpha in alphas.items():
        forms.setdefault(f"{str(alpha.dtype).removeprefix('torch.')} {list(alpha.shape)}", []).append(name)
    return {ALPHA_FORMS: json.dumps(forms, sort_keys=True)}


def matching_settings(layers: Mapping[str, LoraLayer], metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata with PEFT's settings for layers in diffusers' names, under the key that diffusers reads.

    Those of the file that give each layer its alpha stay. A layer without an alpha gets its rank, which is scale 1
    too; where none has one, there are no settings.
    """
    alphas = {name: layer.alpha for name, layer in layers.items() if layer.alpha is not None}
    if not alphas:
        return {}
    kept = {key: metadata[key] for key in CONFIG_KEYS if key in metadata and _gives_alphas(layers, key, metadata[key])}
    return kept if CONFIG_KEYS[0] in kept else kept | {CONFIG_KEYS[0]: _settings(layers, alphas)}


def _settings(layers: Mapping[str, LoraLayer], alphas: Mapping[str, Tensor]) -> str:
    ranks = {name: layer.rank for name, layer in layers.items()}
    scaled = {name: _plain(alphas[name].item() if name in alphas else rank) for name, rank in ranks.items()}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, scaled))
    settings = {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {f"^{re.escape(name)}": value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {f"^{re.escape(name)}": value for name, value in scaled.items() if value != alpha},
        "target_modules": sorted(layers),
    }
    named = {f"{NETWORK_PREFIX}{key}": value for key, value in settings.items()}
    return json.dumps(named, indent=2, sort_keys=True)


def _gives_alphas(layers: Mapping[str, LoraLayer], key: str, text: str) -> bool:
    """Whether settings say of each layer what its alpha says."""
    try:
        find = settings_alpha({key: text})
        found = {name: find(name, layer) for name, layer in layers.items()}
    except ValueError:  # of another rank, for one
        return False
    return all(same_bits(_number(found[name]), _number(layer.alpha)) for name, layer in layers.items())


def _forms_by_layer(metadata: Mapping[str, str]) -> dict[str, Tensor] | None:
    """An empty alpha of the right type and shape for each layer that had one; None where nothing is said."""
    if ALPHA_FORMS not in metadata:
        return None
    try:
        forms = parse_json(metadata[ALPHA_FORMS])
        return {layer: _empty_alpha(form) for form, layers in forms.items() for layer in layers}
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"the LoRA's {ALPHA_FORMS} is damaged ({error}); convert the first file again") from error


def _empty_alpha(form: str) -> Tensor:
    """A zero of the type and shape that a form names; an alpha is one number, whatever its shape."""
    dtype, _, shape = form.partition(" ")
    sides = parse_json(shape)
    if any(side != 1 for side in sides):
        raise ValueError(f"an alpha of shape {shape[:40]} is no number")
    return torch.zeros(sides, dtype=getattr(torch, dtype))


def _number(alpha: Tensor | None) -> Tensor | None:
    return None if alpha is None else alpha.double().reshape(())


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else float(value)
