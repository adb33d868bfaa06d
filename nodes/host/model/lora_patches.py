"""From the tensors of a LoRA file to the host's patches, with nothing left out unnoticed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....training.lora.alpha import adapter_settings, trained_alpha
from ....training.lora.convert import with_joined_layers
from ....training.lora.file import LoraModel
from ....training.lora.keys import (
    ALPHA,
    DIFFUSERS_PREFIX,
    DOWN,
    UP,
    KeyTable,
    host_keys,
    some,
    split_key,
    table_of_network,
)
from ....training.lora.layers import KEY_PREFIX
from .changes import restore_modules

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patches:
    """What a LoRA changes in a model."""

    by_weight: dict[Any, Any]  # as the host's ``add_patches`` takes them
    layers: list[str]  # of the file, in its own names
    missing: list[str]  # those of them that the model has not


class ReadTensors(dict[str, Tensor]):
    """Tensors by key that note which of them are asked for: the host passes over those it cannot place."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            self.read.add(key)
        return super().get(key, default)


def find_patches(model: Any, lora: LoraModel) -> Patches:
    """The host's patches for a LoRA in the host's, diffusers', PEFT's or kohya's keys; nothing is applied.

    Raises:
        ValueError: the file is damaged, or a layer of the model holds tensors that cannot be read.
    """
    import comfy.lora

    restore_modules(model)
    placed = comfy.lora.model_lora_keys_unet(model.model, {})
    table = table_of_network(key.removeprefix(KEY_PREFIX) for key in placed if key.startswith(KEY_PREFIX))
    lora = with_joined_layers(lora, table) if table else lora
    names = host_keys(lora, table) if table else {key: key for key in lora}
    tensors = ReadTensors({names[key]: value for key, value in lora.items()})
    _check_pairs(tensors, placed)
    _add_alphas(tensors, [layer for layer in layers_of(tensors) if layer in placed], lora.metadata, table)
    patches = comfy.lora.load_lora(tensors, placed, log_missing=False)
    # The host reads the alpha of a layer that it then leaves alone.
    unread = [key for key in lora if names[key] not in tensors.read]
    read = set(layers_of(key for key in lora if names[key] in tensors.read and split_key(key)[1] != ALPHA))
    _check_unread([key for key in unread if split_key(key)[0] in read])
    layers = layers_of(lora)
    return Patches(patches, layers, [layer for layer in layers if layer not in read])


def layers_of(keys: Iterable[str]) -> list[str]:
    """The layers that keys belong to, each once, as the keys name them."""
    return list(dict.fromkeys(split_key(key)[0] for key in keys))


def _check_pairs(tensors: Mapping[str, Tensor], placed: Mapping[str, Any]) -> None:
    """Refuse a layer of the model that has only one of its two matrices."""
    matrices: dict[str, set[str]] = {}
    for key in tensors:
        layer, role = split_key(key)
        if layer in placed and role in (DOWN, UP):
            matrices.setdefault(layer, set()).add(role)
    for layer, found in matrices.items():
        if len(found) == 1:
            raise ValueError(f"the LoRA has only the {found.pop()} half of {layer}; copy or train it again")


def _add_alphas(
    tensors: ReadTensors, layers: Iterable[str], metadata: Mapping[str, str], table: KeyTable | None
) -> None:
    """Give layers without an alpha that of the file's adapter settings; without any, the host adds B A unscaled."""
    settings = adapter_settings(metadata)
    ranks = {split_key(key)[0]: value.shape[0] for key, value in tensors.items() if split_key(key)[1] == DOWN}
    bare = [layer for layer in layers if layer in ranks and f"{layer}.{ALPHA}" not in tensors]
    for layer in bare:
        name = (table.to_diffusers(layer) if table else None) or layer.removeprefix(DIFFUSERS_PREFIX)
        alpha = trained_alpha(settings, name, ranks[layer])
        if alpha is not None:
            tensors[f"{layer}.{ALPHA}"] = torch.tensor(alpha, dtype=torch.float64)
    if bare and settings.get("lora_alpha") is None:
        log.info("%d layers of the LoRA hold no alpha, so alpha is their rank: 1 times B A is added", len(bare))


def _check_unread(keys: list[str]) -> None:
    """Refuse layers whose LoRA would be applied in part, a DoRA without its magnitudes for one; log other leftovers."""
    parts = [key for key in keys if split_key(key)[1].startswith("lora_")]
    if parts:
        raise ValueError(
            f"the LoRA's layers hold tensors that cannot be read: {some(parts)}; "
            "export it as a plain LoRA, without DoRA and biases"
        )
    if keys:
        log.warning("tensors of the LoRA's layers that cannot be read are left out: %s", some(keys))
