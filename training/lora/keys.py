"""Names of LoRA tensors: the host's, diffusers' and PEFT's, and kohya's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .layers import KEY_PREFIX
from .table import KOHYA_PREFIX, KeyTable, flat_names, template
from .tables import COGVIDEOX, HUNYUAN, HUNYUAN_15, KANDINSKY, LTXV, TABLES, WAN

__all__ = [
    "COGVIDEOX",
    "HUNYUAN",
    "HUNYUAN_15",
    "KANDINSKY",
    "KOHYA_PREFIX",
    "LTXV",
    "TABLES",
    "WAN",
    "KeyTable",
]

DIFFUSERS_PREFIX = "transformer."
DOWN, UP, ALPHA = "lora_down", "lora_up", "alpha"  # what a tensor is for its layer, in the host's words
MOSTLY = 0.9  # part of a file's layers that a family must know for the file to be called its own
NAMED = 3  # things that a sentence names before it counts the others

_HOST_ENDS = {DOWN: "lora_down.weight", UP: "lora_up.weight", ALPHA: "alpha"}
_DIFFUSERS_ENDS = {DOWN: "lora_A.weight", UP: "lora_B.weight", ALPHA: "alpha"}
_ROLES = {"A": DOWN, "down": DOWN, "B": UP, "up": UP}
# Of LyCORIS' GLoRA and IA3, and what PEFT calls the layer that it has put an adapter on.
_PARTS = re.compile(r"\.((?:a1|a2|b1|b2|bm|on_input)(?:\.weight)?|base_layer\.(?:weight|bias))$")
_MATRIX = re.compile(r"\.lora_(A|B|down|up)(?:\.(?!weight$|bias$)[^.]+)?(?:\.weight)?$")  # PEFT may name the adapter


def split_key(key: str) -> tuple[str, str]:
    """The layer of a tensor, as the file names it, and what the tensor is: DOWN, UP, ALPHA, or its own ending."""
    matrix = _MATRIX.search(key)
    if matrix:
        return key[: matrix.start()], _ROLES[matrix[1]]
    if ".lora_" in key:
        layer, _, ending = key.partition(".lora_")
        return layer, f"lora_{ending}"
    part = _PARTS.search(key)
    if part:
        return key[: part.start()], part[1]
    layer, _, ending = key.rpartition(".")
    return (layer, ending) if layer else (key, "")


def host_keys(keys: Iterable[str], table: KeyTable) -> dict[str, str]:
    """The host's key for every key of a file; what the table does not know, and parts of a layer, keep their names.

    Raises:
        ValueError: two keys of the file mean the same tensor.
    """
    new_keys: dict[str, str] = {}
    old_keys: dict[str, str] = {}
    for key in keys:
        layer, role = split_key(key)
        name = None if table.part_of(layer) is not None else table.to_host(layer)
        new = host_key(name, role) if name and role else key
        if new in old_keys:
            raise ValueError(
                f"the LoRA holds one tensor twice, as {old_keys[new]} and as {key}; keep one adapter in it"
            )
        new_keys[key], old_keys[new] = new, key
    return new_keys


def host_key(layer: str, role: str) -> str:
    """The host's key of a tensor; the layer has the host's name."""
    return f"{KEY_PREFIX}{layer}.{_HOST_ENDS.get(role, role)}"


def diffusers_key(layer: str, role: str) -> str:
    """Diffusers' key of a tensor; the layer has diffusers' name."""
    return f"{DIFFUSERS_PREFIX}{layer}.{_DIFFUSERS_ENDS[role]}"


def kohya_key(layer: str, role: str) -> str:
    """Kohya's key of a tensor; the layer has the host's name."""
    return f"{KOHYA_PREFIX}{layer.replace('.', '_')}.{_HOST_ENDS[role]}"


def table_of_network(names: Iterable[str]) -> KeyTable | None:
    """The table whose layers a network of the host has, by the names of its layers without a prefix; or None."""
    found = {template(name) for name in names}
    fitting = [table for table in TABLES if found.issuperset(table.marks)]
    return max(fitting, key=lambda table: len(table.marks), default=None)  # HunyuanVideo 1.5 has the marks of 1.0, too


def tables_of_file(layers: Sequence[str]) -> list[KeyTable]:
    """The tables that know most of a file's layers, more than one where the names are those of several families.

    Of tables that call all of these layers the same, the first one stands for the others.
    """
    counts = {table.family: sum(table.to_host(layer) is not None for layer in layers) for table in TABLES}
    most = max(counts.values())
    found = [table for table in TABLES if most and counts[table.family] == most]
    # CogVideoX has LTXV's names in diffusers alone, and the host's prefix is not used for those.
    ours = [table for table in found if all(_is_hosts(layer, table) for layer in layers)]
    found = ours if len(found) > 1 and ours else found
    return list({_all_names(layers, table): table for table in reversed(found)}.values())[::-1]


def describe_layers(layers: Iterable[str]) -> str:
    """What a file with these layers is, for sentences: its family and whose names it uses."""
    names = {template(layer) for layer in layers}
    for table in TABLES:
        for owner, known in (("ComfyUI", table.names(0)), ("diffusers", table.names(1)), ("kohya", _kohya(table))):
            count = len(names & known)
            if count and count >= MOSTLY * len(names):
                return f"a {table.family} LoRA in the names of {owner}"
    return "a LoRA of an unknown family"


def some(names: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _all_names(layers: Iterable[str], table: KeyTable) -> tuple[tuple[str | int | None, ...], ...]:
    """What a table makes of layers."""
    return tuple((table.to_host(layer), table.part_of(layer), table.to_diffusers(layer)) for layer in layers)


def _is_hosts(layer: str, table: KeyTable) -> bool:
    return layer.startswith(KEY_PREFIX) and table.to_host(layer) == layer.removeprefix(KEY_PREFIX)


def _kohya(table: KeyTable) -> set[str]:
    return {flat for column in (0, 1) for name in table.names(column) for flat in flat_names(name)}
