"""How a network with patches of 2 x 2 latents becomes one with patches of 1, keeping what it has learned."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import CONFIG

AXES = (24, 20, 20)  # channels of a head that turn with time, height and width; the host's split of 64


def finer(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the finer network, whose token stands for a quarter of a coarse one.

    A latent is shown as a flat patch was: its embedding is the sum of the four, and the head gives the mean of what it
    gave the four, so that a patch embedding and a head that undo each other still do. Positions are twice as far
    apart in tokens; the channels of the rotary embedding of height and width move one frequency down, of which each
    is 2.5 times the next, so that a distance in the picture turns them about as before.

    Args:
        weights: of a host ``WanModel`` with ``CONFIG`` and patches of ``COARSE``, by parameter name.
    """
    out = dict(weights)
    out["patch_embedding.weight"] = weights["patch_embedding.weight"].sum((3, 4), keepdim=True)
    for part in ("head.head.weight", "head.head.bias"):  # rows are ordered (height, width, channel)
        out[part] = weights[part].unflatten(0, (4, -1)).mean(0)
    rows = rows_by_frequency()
    for name in [name for name in weights if ".self_attn." in name]:
        layer = name.split(".self_attn.")[1].split(".")[0]
        if layer in ("q", "k", "norm_q", "norm_k"):
            out[name] = weights[name][rows].clone()
        if layer == "q":
            out[name][_fastest()] = 0.0  # what stood still must not turn; keys keep theirs, so that they can learn
    return out


def rows_by_frequency() -> Tensor:
    """Old row of each new row of queries and keys: one frequency down in height and width, the last one in front."""
    order, start = list(range(AXES[0])), AXES[0]
    for width in AXES[1:]:
        pairs = torch.arange(start, start + width).view(-1, 2).roll(1, 0)
        order += pairs.flatten().tolist()
        start += width
    return _every_head(torch.tensor(order))


def _fastest() -> Tensor:
    """Rows that turn fastest in height and width."""
    return _every_head(torch.tensor([AXES[0], AXES[0] + 1, AXES[0] + AXES[1], AXES[0] + AXES[1] + 1]))


def _every_head(rows: Tensor) -> Tensor:
    size = CONFIG["dim"] // CONFIG["num_heads"]
    return (torch.arange(CONFIG["num_heads"])[:, None] * size + rows).flatten()
