"""The appearance LoRA of one-shot motion: put on the model for the second stage, or stood in for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from ...training.appearance import METHOD
from ...training.lora_file import LoraModel
from ...training.lora_metadata import to_metadata
from .lora_patches import find_patches


def with_lora(model: Any, lora: LoraModel) -> Any:
    """A clone with a LoRA that was just trained on the model; the model itself where the LoRA is empty."""
    if not lora:
        return model
    found = find_patches(model, lora)
    if found.missing:
        raise RuntimeError(f"{len(found.missing)} layers of the appearance LoRA are not in the model it was trained on")
    clone = model.clone()
    clone.add_patches(found.by_weight, 1.0)
    return clone


def no_lora() -> LoraModel:
    """What stands for the appearance LoRA where that stage was left out: it changes nothing and says so."""
    return LoraModel({}, to_metadata({"method": json.dumps(METHOD), "steps": "0"}))


def digest_of(lora: LoraModel) -> str:
    """Of all bytes of a LoRA; empty for none."""
    digest = hashlib.sha256()
    for key in sorted(lora):
        digest.update(key.encode() + lora[key].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if lora else ""
