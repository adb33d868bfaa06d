"""Names of LoRA tensors: diffusers' and PEFT's on one side, the host's on the other, one table a family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from .lora import KEY_PREFIX

DIFFUSERS_PREFIX = "transformer."
DOWN, UP, ALPHA = "lora_down", "lora_up", "alpha"  # what a tensor is for its layer, in the host's words
MOSTLY = 0.9  # part of a file's layers that a family must know for the file to be called its own

_HOST_ENDS = {DOWN: "lora_down.weight", UP: "lora_up.weight", ALPHA: "alpha"}
_DIFFUSERS_ENDS = {DOWN: "lora_A.weight", UP: "lora_B.weight", ALPHA: "alpha"}
_ROLES = {"A": DOWN, "down": DOWN, "B": UP, "up": UP}
_PREFIXES = re.compile(r"^(?:(?:transformer|base_model\.model|diffusion_model)\.)+")
_BLOCK = re.compile(r"(?<=blocks\.)\d+(?=\.)")
_MATRIX = re.compile(r"\.lora_(A|B|down|up)(?:\.(?!weight$|bias$)[^.]+)?(?:\.weight)?$")  # PEFT may name the adapter


@dataclass(frozen=True)
class KeyTable:
    """The layers of one family that a LoRA can hold: (the host's name, diffusers' name), ``{}`` for the block.

    Both columns name the same weight of the same shape; no layer is split, joined or permuted.
    """

    family: str
    layers: tuple[tuple[str, str], ...]

    def to_host(self, layer: str) -> str | None:
        """The host's name of a layer in either form, with or without a prefix; None if it is not in the table."""
        return _look_up(layer, self._host_names)

    def to_diffusers(self, layer: str) -> str | None:
        """Diffusers' name of a layer in either form; None if it is not in the table."""
        return _look_up(layer, self._diffusers_names)

    @cached_property
    def _host_names(self) -> dict[str, str]:
        return {name: host for host, diffusers in self.layers for name in (diffusers, host)}

    @cached_property
    def _diffusers_names(self) -> dict[str, str]:
        return {name: diffusers for host, diffusers in self.layers for name in (host, diffusers)}


def _of_blocks(host: str, diffusers: str, layers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{host}.{{}}.{ours}", f"{diffusers}.{{}}.{theirs}") for ours, theirs in layers)


_WAN_ATTENTION = (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"))
_WAN_BLOCK = (
    *((f"self_attn.{ours}", f"attn1.{theirs}") for ours, theirs in _WAN_ATTENTION),
    *((f"cross_attn.{ours}", f"attn2.{theirs}") for ours, theirs in _WAN_ATTENTION),
    ("cross_attn.k_img", "attn2.add_k_proj"),
    ("cross_attn.v_img", "attn2.add_v_proj"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
)
# Source: diffusers models/transformers/transformer_wan.py, the host's comfy/ldm/wan/model.py.
WAN = KeyTable(
    "Wan",
    (
        *_of_blocks("blocks", "blocks", _WAN_BLOCK),
        ("patch_embedding", "patch_embedding"),
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("head.head", "proj_out"),
    ),
)

_COGVIDEOX_BLOCK = (
    ("q", "attn1.to_q"),
    ("k", "attn1.to_k"),
    ("v", "attn1.to_v"),
    ("attn_out", "attn1.to_out.0"),
    ("ff_proj", "ff.net.0.proj"),
    ("ff_out", "ff.net.2"),
    ("norm1.linear", "norm1.linear"),
    ("norm2.linear", "norm2.linear"),
)
# Source: diffusers models/transformers/cogvideox_transformer_3d.py, the host's comfy/ldm/cogvideo/model.py.
COGVIDEOX = KeyTable(
    "CogVideoX",
    (
        *_of_blocks("blocks", "transformer_blocks", _COGVIDEOX_BLOCK),
        ("patch_embed.proj", "patch_embed.proj"),
        ("patch_embed.text_proj", "patch_embed.text_proj"),
        ("time_embedding_linear_1", "time_embedding.linear_1"),
        ("time_embedding_linear_2", "time_embedding.linear_2"),
        ("ofs_embedding_linear_1", "ofs_embedding.linear_1"),
        ("ofs_embedding_linear_2", "ofs_embedding.linear_2"),
        ("norm_out.linear", "norm_out.linear"),
        ("proj_out", "proj_out"),
    ),
)

TABLES = (WAN, COGVIDEOX)


def split_key(key: str) -> tuple[str, str]:
    """The layer of a tensor, as the file names it, and what the tensor is: DOWN, UP, ALPHA, or its own ending."""
    matrix = _MATRIX.search(key)
    if matrix:
        return key[: matrix.start()], _ROLES[matrix[1]]
    if ".lora_" in key:
        layer, _, ending = key.partition(".lora_")
        return layer, f"lora_{ending}"
    layer, _, ending = key.rpartition(".")
    return (layer, ending) if layer else (key, "")


def host_keys(keys: Iterable[str], table: KeyTable) -> dict[str, str]:
    """The host's key for every key of a file; what the table does not know keeps its name.

    Raises:
        ValueError: two keys of the file mean the same tensor.
    """
    return _renamed(keys, table.to_host, KEY_PREFIX, _HOST_ENDS)


def diffusers_keys(keys: Iterable[str], table: KeyTable) -> dict[str, str]:
    """Diffusers' key for every key of a file, the way back from ``host_keys``.

    Raises:
        ValueError: two keys of the file mean the same tensor.
    """
    return _renamed(keys, table.to_diffusers, DIFFUSERS_PREFIX, _DIFFUSERS_ENDS)


def table_of_network(names: Iterable[str]) -> KeyTable | None:
    """The table whose layers a network of the host has, by the names of its layers without a prefix; or None."""
    templates = {_BLOCK.sub("{}", name, count=1) for name in names}
    # Optional parts are missing in most networks, but attention is never.
    return next((table for table in TABLES if {host for host, _ in table.layers[:4]} <= templates), None)


def describe_layers(layers: Iterable[str]) -> str:
    """What a file with these layers is, for sentences: its family and whose names it uses."""
    bare = {_PREFIXES.sub("", layer) for layer in layers}
    for table in TABLES:
        for owner, index in (("ComfyUI", 0), ("diffusers", 1)):
            names = {pair[index] for pair in table.layers}
            known = sum(_BLOCK.sub("{}", layer, count=1) in names for layer in bare)
            if known and known >= MOSTLY * len(bare):
                return f"a {table.family} LoRA in the names of {owner}"
    return "a LoRA of an unknown family"


def _look_up(layer: str, names: dict[str, str]) -> str | None:
    bare = _PREFIXES.sub("", layer)
    block = _BLOCK.search(bare)
    found = names.get(_BLOCK.sub("{}", bare, count=1))
    return found.format(block[0]) if found and block else found


def _renamed(
    keys: Iterable[str], rename: Callable[[str], str | None], prefix: str, endings: dict[str, str]
) -> dict[str, str]:
    new_keys: dict[str, str] = {}
    old_keys: dict[str, str] = {}
    for key in keys:
        layer, role = split_key(key)
        name = rename(layer)
        new = f"{prefix}{name}.{endings[role]}" if name and role in endings else key
        if new in old_keys:
            raise ValueError(
                f"the LoRA holds one tensor twice, as {old_keys[new]} and as {key}; keep one adapter in it"
            )
        new_keys[key], old_keys[new] = new, key
    return new_keys
