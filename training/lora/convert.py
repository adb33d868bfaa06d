"""A LoRA file in the names of another tool, without loss: ComfyUI's, diffusers' and PEFT's, kohya's and musubi's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from .alpha import ALPHA_FORMS, CONFIG_KEYS, matching_settings
from .file import LoraModel
from .foreign import (
    COMFYUI,
    DIFFUSERS,
    FORMATS,
    HINTS,
    KOHYA,
    Layers,
    hints_of,
    layers_in,
    named_layers,
    read_layers,
    tensors_of,
)
from .fused import same_bits
from .keys import DIFFUSERS_PREFIX, TABLES, UP, KeyTable, some, split_key, tables_of_file
from .metadata import PREFIX
from .table import FLAT_PREFIXES, bare_name, template

ORIGIN = f"{PREFIX}converted_from"  # a line for each conversion
AUTHORS = "the model's authors"  # whose names diffusion-pipe and musubi-tuner write
FAMILIES = tuple(table.family for table in TABLES)


def convert_lora(lora: LoraModel, target: str, name: str, family: str = "") -> LoraModel:
    """The LoRA in the names of another tool; its metadata stays and gains a line that says where it comes from.

    Tensors keep their bits and types. The result is read back before it is returned: converted to the names it
    came from, it is the same LoRA, bit for bit; names of the model's authors come back as ComfyUI's.

    Args:
        lora: Plain up and down matrices, with or without alpha, in any of the names.
        target: One of ``FORMATS``.
        name: The file's, for sentences and for that line.
        family: One of ``FAMILIES``, needed where the names are those of several; empty: told by the names.

    Raises:
        ValueError: layers or tensors of it are unknown, or it cannot be converted without loss.
    """
    if target not in FORMATS:
        raise ValueError(f"there is no LoRA format {target!r}; choose one of {', '.join(FORMATS)}")
    try:
        table = table_of(lora, family)
        source = format_of(lora, table)
        result = _written(lora, target, table)
        if result.keys() == lora.keys():
            raise ValueError(f"it is in the names of {target} already; choose another format")
        _check_lossless(lora, result, table, source)
    except ValueError as error:
        raise ValueError(f"{name} cannot be converted: {error}") from error
    owner = AUTHORS if _by_authors({split_key(key)[0] for key in lora}, table) else source
    lines = [*lora.metadata.get(ORIGIN, "").splitlines(), f"{name}, in the names of {owner}"]
    result.metadata[ORIGIN] = "\n".join(lines)
    return result


def table_of(lora: Mapping[str, Tensor], family: str = "") -> KeyTable:
    """The table that has all of a LoRA's layers.

    Raises:
        ValueError: there is none, or there are several, or it lacks some of the layers.
    """
    layers = list(dict.fromkeys(split_key(key)[0] for key in lora))
    if not layers:
        raise ValueError("it holds no tensors; choose another file")
    found = [table for table in TABLES if table.family == family] if family else tables_of_file(layers)
    if not found:
        raise ValueError(f"none of its layers is known ({some(layers)}); LoRAs of {', '.join(FAMILIES)} can be")
    if len(found) > 1:
        widths = {value.shape[0] for key, value in lora.items() if split_key(key)[1] == UP and ".attn" in key}
        found = [table for table in found if widths and widths <= set(table.widths)] or found
    if len(found) > 1:
        raise ValueError(f"its layers may be those of {' or '.join(table.family for table in found)}; choose `family`")
    unknown = [layer for layer in layers if found[0].to_host(layer) is None]
    if unknown:
        raise ValueError(f"{found[0].family} has no layers {some(unknown)}; remove them or choose another file")
    return found[0]


def format_of(keys: Iterable[str], table: KeyTable) -> str:
    """Whose names a LoRA has; layers that ComfyUI and diffusers call the same are told by their prefix.

    Names of the model's authors are other words for ComfyUI's layers and count as its names.
    """
    layers = {split_key(key)[0] for key in keys}
    if any(layer.startswith(FLAT_PREFIXES) for layer in layers):
        return KOHYA
    if _by_authors(layers, table):
        return COMFYUI
    ours = all(table.to_host(layer) == bare_name(layer) for layer in layers)
    return COMFYUI if ours and not any(layer.startswith(DIFFUSERS_PREFIX) for layer in layers) else DIFFUSERS


def _by_authors(layers: Iterable[str], table: KeyTable) -> bool:
    """Whether some layers have the names of the model's authors, where these are not the host's."""
    return bool({template(layer) for layer in layers} & {name for _, name in table.others})


def with_joined_layers(lora: LoraModel, table: KeyTable) -> LoraModel:
    """The LoRA with the layers in ComfyUI's names that diffusers has in parts or otherwise ordered; others stay.

    Raises:
        ValueError: they cannot be joined.
    """
    own = {key for key in lora if _differs(split_key(key)[0], table)}
    if not own:
        return lora
    part = LoraModel({key: lora[key] for key in lora if key in own}, lora.metadata)
    joined = tensors_of(read_layers(part, table)[0], COMFYUI)
    return LoraModel({**{key: lora[key] for key in lora if key not in own}, **joined}, lora.metadata)


def _differs(layer: str, table: KeyTable) -> bool:
    host = table.to_host(layer)
    return host is not None and (
        table.part_of(layer) is not None or (table.is_swapped(host) and table.is_diffusers(layer))
    )


def _written(lora: LoraModel, target: str, table: KeyTable) -> LoraModel:
    host, ranks = read_layers(lora, table)
    layers = layers_in(target, host, ranks, table)
    metadata = {key: value for key, value in lora.metadata.items() if key not in HINTS}
    metadata |= hints_of(layers, ranks, target)
    if target == DIFFUSERS or ALPHA_FORMS in lora.metadata:  # those there may say alpha of layers that have none
        metadata = {key: value for key, value in metadata.items() if key not in CONFIG_KEYS}
    if target == DIFFUSERS:
        metadata |= {"format": "pt", **matching_settings(layers, lora.metadata)}  # as diffusers writes it
    return LoraModel(tensors_of(layers, target), metadata)


def _check_lossless(lora: LoraModel, result: LoraModel, table: KeyTable, source: str) -> None:
    """Go back and compare every layer.

    Raises:
        ValueError: something would be lost.
    """
    before = named_layers(lora, table) if source == DIFFUSERS else read_layers(lora, table)[0]
    after = layers_in(source, *read_layers(result, table), table)
    changed = [name for name in {**before, **after} if not _same(before, after, name)]
    if changed:
        raise ValueError(f"{some(changed)} would not come back the same; keep the file as it is")


def _same(first: Layers, second: Layers, name: str) -> bool:
    if name not in first or name not in second:
        return False
    one, other = first[name], second[name]
    return same_bits(one.up, other.up) and same_bits(one.down, other.down) and same_bits(one.alpha, other.alpha)
