"""Networks that the authors' code of Tune-A-Video has saved: a whole UNet, of which the tuned weights are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ...methods.tune_a_video import POOLED, TUNED_QUERIES, Tuned

TEMPORAL, NORM = "attn_temp", "norm_temp"  # their names in a block
# Theirs and ours of a temporal attention.
NAMES = {
    "to_q.weight": "to_q",
    "to_k.weight": "to_k",
    "to_v.weight": "to_v",
    "to_out.0.weight": "to_out",
    "to_out.0.bias": "to_out_bias",
}
_BLOCK = re.compile(r"^(down|mid|up)_block(?:s\.(\d+))?\.attentions\.(\d+)\.transformer_blocks\.(\d+)\.(.+)$")


def is_published(keys: Iterable[str]) -> bool:
    """Whether tensors of these names are a network of the authors' code."""
    return any(f".{TEMPORAL}." in key for key in keys)


def published_tuned(tensors: Mapping[str, Tensor], name: str) -> Tuned:
    """What was tuned, of a whole network in the names of ``UNet3DConditionModel``; other weights are the base's.

    Raises:
        ValueError: it is not whole, or its temporal attention has a norm that was trained, which the authors' code
            never does.

    Source: ``tuneavideo/models`` of ``showlab/Tune-A-Video``.
    """
    blocks = {key: match for key in tensors if (match := _BLOCK.match(_bare(key)))}
    per_level = 1 + max((int(match[3]) for match in blocks.values() if match[1] == "down"), default=-1)
    if not per_level:
        raise ValueError(f"{name} holds a part of a tuned network; choose the file with the whole UNet")
    temporal: dict[str, Tensor] = {}
    queries: dict[str, Tensor] = {}
    for key, match in blocks.items():
        block, layer = _host_block(match, per_level), match[5]
        if layer.startswith(f"{TEMPORAL}.") and layer.partition(".")[2] in NAMES:
            temporal[f"{block}.{NAMES[layer.partition('.')[2]]}"] = tensors[key].float()
        elif layer.removesuffix(".weight") in TUNED_QUERIES:
            queries[f"{block}.{layer.removesuffix('.weight')}"] = tensors[key].float()
        elif layer.startswith(f"{NORM}."):
            _check_norm(tensors[key].float(), key, name)
    return Tuned("", temporal, queries, POOLED, whole=True, text_width=_text_width(tensors))


def _bare(key: str) -> str:
    """A name without what wrappers of a network put in front."""
    for prefix in ("module.", "unet."):
        key = key.removeprefix(prefix)
    return key


def _host_block(match: re.Match[str], per_level: int) -> str:
    """The host's name of a transformer block; a level has one more entry, for what changes the size or comes first."""
    kind, level, entry, block = match[1], int(match[2] or 0), int(match[3]), match[4]
    start = level * (per_level + 1) + entry
    where = {"down": f"input_blocks.{start + 1}", "mid": "middle_block", "up": f"output_blocks.{start}"}[kind]
    return f"{where}.1.transformer_blocks.{block}"


def _check_norm(value: Tensor, key: str, name: str) -> None:
    if not torch.equal(value, torch.full_like(value, 1.0 if key.endswith("weight") else 0.0)):
        raise ValueError(f"{name} has a trained {key}, which Tune-A-Video leaves alone; it is of another method")


def _text_width(tensors: Mapping[str, Tensor]) -> int | None:
    """Channels of the texts that the network was tuned with, which tell Stable Diffusion 1.x from 2.x."""
    return next((value.shape[1] for key, value in tensors.items() if key.endswith("attn2.to_k.weight")), None)
