"""Alpha of LoRAs that keep it in their metadata, as PEFT's settings, instead of a tensor for each layer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

# Source: diffusers loaders/lora_base.py, and finetrainers/trainer/sft_trainer/trainer.py of kinam0252/TIC-FT.
CONFIG_KEYS = ("lora_adapter_metadata", "lora_config")
NETWORK_PREFIX = "transformer."  # diffusers puts a pipeline's parts into one set of settings


def adapter_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """PEFT's settings in the metadata of a file; empty where it has none.

    Raises:
        ValueError: they are damaged.
    """
    text = next((metadata[key] for key in CONFIG_KEYS if key in metadata), "{}")
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the LoRA's adapter settings are damaged ({error}); copy or export it again") from error
    if not isinstance(settings, dict):
        raise ValueError(f"the LoRA's adapter settings are {text[:40]!r} instead of named values; export it again")
    own = {key.removeprefix(NETWORK_PREFIX): settings[key] for key in settings if key.startswith(NETWORK_PREFIX)}
    return own or settings


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


def _value(settings: Mapping[str, Any], patterns: str, name: str, layer: str) -> float:
    """The value of the first pattern that matches the end of a layer's name, else the general one."""
    try:
        own = (v for key, v in (settings.get(patterns) or {}).items() if re.fullmatch(rf"(.*\.)?({key})", layer))
        value = float(next(own, settings[name]))
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number")
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise ValueError(f"the LoRA's adapter settings are damaged ({name}: {error}); export it again") from error
    return value
