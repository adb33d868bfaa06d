"""Files of what Tune-A-Video has tuned: safetensors that say what they are, and on which base they were tuned.

``temporal.<block>.<weight>`` is temporal attention. ``queries.<layer>`` is what is added to a layer's weight,
``queries.<layer>.lora_up.weight``, ``.lora_down.weight`` and ``.alpha`` the same as a product.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...methods.tune_a_video import PER_FRAME, Tuned
from ..aicl.file import describe_method
from ..core.config import TrainConfig
from ..core.methods import TUNE_A_VIDEO
from ..lora.file import LoraModel, load_lora, read_metadata, tensor_names
from ..lora.metadata import from_metadata, plain_value, to_metadata
from .layers import QUERIES, TEMPORAL
from .published import is_published, published_tuned

BASE, GROUP_NORMS, CAUSAL = "base_family", "group_norms", "sparse_causal"
UP, DOWN, ALPHA = ".lora_up.weight", ".lora_down.weight", ".alpha"


def file_metadata(
    record: Mapping[str, str],
    _config: TrainConfig,
    *,
    title: str = "",
    date: str = "",
    workflow: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """All metadata of a file: our record and the workflow. It is no LoRA, so no words for LoRAs are in it."""
    named = {key: json.dumps(value) for key, value in {"title": title, "date": date}.items() if value}
    return {**(workflow or {}), **to_metadata({**record, **named})}


def load_tuned(path: Path) -> Tuned:
    """Read what was tuned, also of a whole network that the authors' code has saved.

    Raises:
        ValueError: the file is no safetensors file, not of Tune-A-Video, or damaged.
    """
    if is_published(tensor_names(path)):
        return published_tuned(load_lora(path), path.name)
    check_method(read_metadata(path), path.name)  # first: other files are refused before they are read
    return tuned_from(load_lora(path), path.name)


def check_method(metadata: Mapping[str, str], name: str) -> None:
    """Refuse the metadata of a file that Tune-A-Video has not made.

    Raises:
        ValueError: it has not.
    """
    record = from_metadata(metadata)
    if plain_value(record, "method") != TUNE_A_VIDEO:
        raise ValueError(
            f"{name} is {describe_method(record)}, a file of Tune-A-Video is needed; choose one that Tune-A-Video "
            "Train made"
        )


def tuned_from(file: LoraModel, name: str) -> Tuned:
    """What was tuned, of the tensors and metadata of a file called ``name``; low-rank queries are multiplied out.

    Raises:
        ValueError: it is not of Tune-A-Video, or damaged.
    """
    check_method(file.metadata, name)
    record = from_metadata(file.metadata)
    if not record.get(BASE):
        raise ValueError(f"{name} does not say on which base it was tuned; train it again")
    temporal = {key.removeprefix(TEMPORAL): value.float() for key, value in file.items() if key.startswith(TEMPORAL)}
    factors = {key.removeprefix(QUERIES): value.float() for key, value in file.items() if key.startswith(QUERIES)}
    if len(temporal) + len(factors) != len(file) or not file:
        raise ValueError(f"{name} holds other tensors than Tune-A-Video's, or none; copy it again, or train it again")
    causal = plain_value(record, CAUSAL)
    norms = plain_value(record, GROUP_NORMS)
    return Tuned(
        record[BASE],
        temporal,
        _multiplied_out(factors, name),
        PER_FRAME if norms is None else str(norms),
        causal is None or bool(causal),
    )


def _multiplied_out(factors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """What is added to each layer's weight: ``alpha / rank * up down`` where it is a product."""
    found: dict[str, Tensor] = {}
    for key, value in factors.items():
        layer = key.removesuffix(UP)
        if layer != key:
            down, alpha = factors.get(f"{layer}{DOWN}"), factors.get(f"{layer}{ALPHA}")
            if down is None or alpha is None or value.ndim != 2 or down.shape[:1] != value.shape[1:]:
                raise ValueError(f"{name} lacks a part of {layer} that fits; copy it again, or train it again")
            found[layer] = torch.mm(value, down) * (float(alpha) / len(down))
        elif not key.endswith((DOWN, ALPHA)):
            found[key] = value
        elif f"{key.removesuffix(DOWN).removesuffix(ALPHA)}{UP}" not in factors:
            raise ValueError(f"{name} has {key} alone; copy it again, or train it again")
    return found
