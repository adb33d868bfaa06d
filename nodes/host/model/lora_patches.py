"""From the tensors of a LoRA file to the host's patches, with nothing left out unnoticed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ....training.lora.convert import with_joined_layers
from ....training.lora.file import LoraModel
from ....training.lora.keys import (
    ALPHA,
    DIFFUSERS_PREFIX,
    DOWN,
    UP,
    host_keys,
    some,
    split_key,
    table_of_network,
)
from ....training.lora.layers import KEY_PREFIX
from ....training.lora.scales import add_scales
from .changes import restore_modules
from .dora import with_magnitude

log = logging.getLogger(__name__)

MAGNITUDES = ("dora_scale", "lora_magnitude_vector")  # LyCORIS' and kohya's, PEFT's
PATCHED = ("weight", "bias")  # parameters that the host patches; it passes over all others without a word
PLAIN = "save it as a plain LoRA, LoHa or LoKr"


@dataclass(frozen=True)
class Patches:
    """What a LoRA changes in a model."""

    by_weight: dict[Any, Any]  # as the host's ``add_patches`` takes them
    layers: list[str]  # of the file, in its own names
    missing: list[str]  # those of them that the model has not
    unpatched: list[str]  # those of them that the model has and the host does not patch
    note: str  # what the user has to know of the file; empty: nothing


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
    """The host's patches for a LoRA in the host's, diffusers', PEFT's, LyCORIS' or kohya's keys; nothing is applied.

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
    layers = [layer for layer in layers_of(tensors) if layer in placed]
    unpatched = {layer for layer in layers if str(placed[layer]).rpartition(".")[2] not in PATCHED}

    def diffusers_name(layer: str) -> str:
        return (table.to_diffusers(layer) if table else None) or layer.removeprefix(DIFFUSERS_PREFIX)

    note = add_scales(tensors, layers, lora.metadata, diffusers_name)
    patches = _load(tensors, {name: key for name, key in placed.items() if name not in unpatched})
    # The host reads the alpha of a layer that it then leaves alone.
    unread = [key for key in lora if names[key] not in tensors.read]
    read = set(layers_of(key for key in lora if names[key] in tensors.read and split_key(key)[1] != ALPHA))
    _check_unread([key for key in unread if split_key(key)[0] in read])
    hosts = {split_key(key)[0]: split_key(names[key])[0] for key in lora}
    left = [layer for layer in layers_of(lora) if layer not in read]
    known = {layer for layer in left if hosts[layer] in layers and hosts[layer] not in unpatched}
    _check_kinds([key for key in unread if split_key(key)[0] in known])
    missing = [layer for layer in left if hosts[layer] not in unpatched]
    return Patches(patches, layers_of(lora), missing, [layer for layer in left if layer not in missing], note)


def layers_of(keys: Iterable[str]) -> list[str]:
    """The layers that keys belong to, each once, as the keys name them."""
    return list(dict.fromkeys(split_key(key)[0] for key in keys))


def _load(tensors: ReadTensors, placed: Mapping[str, Any]) -> dict[Any, Any]:
    """The host's patches; those of layers with a magnitude are ours around the host's.

    Raises:
        ValueError: a layer holds a magnitude and nothing it would be of.
    """
    import comfy.lora

    magnitudes = {layer: key for key in tensors if (layer := _magnitude_of(key)) in placed}
    plain = ReadTensors({key: value for key, value in tensors.items() if key not in magnitudes.values()})
    patches = comfy.lora.load_lora(plain, placed, log_missing=False)
    tensors.read |= plain.read
    for layer, key in magnitudes.items():
        inner = patches.get(placed[layer])
        if not hasattr(inner, "calculate_weight"):
            raise ValueError(f"the LoRA has only the magnitude of {layer}; copy or train it again")
        patches[placed[layer]] = with_magnitude(inner, tensors[key])
    return patches


def _magnitude_of(key: str) -> str:
    """The layer whose magnitude a tensor is; empty for all others."""
    layer, role = split_key(key)
    return layer if role.startswith(MAGNITUDES) else ""


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


def _check_unread(keys: list[str]) -> None:
    """Refuse layers whose LoRA would be applied in part, a LoRA of biases for one; log other leftovers."""
    parts = [key for key in keys if split_key(key)[1].startswith(("lora_", "base_layer"))]
    if parts:
        raise ValueError(f"the LoRA's layers hold tensors that cannot be read: {some(parts)}; {PLAIN}")
    if keys:
        log.warning("tensors of the LoRA's layers that cannot be read are left out: %s", some(keys))


def _check_kinds(keys: list[str]) -> None:
    """Refuse layers of the model of which nothing can be read: the file is of a kind that is not known."""
    if keys:
        raise ValueError(f"the file holds tensors of a kind that cannot be read: {some(keys)}; {PLAIN}")
