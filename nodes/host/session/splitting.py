"""A base that does not fit one card, split over the cards of the processes that share a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ....training.distributed.processes import processes
from ..layers.checkpointing import transformer_blocks
from ..layers.stored_weights import is_foreign
from .placement import Placed

PLAIN = (torch.float32, torch.bfloat16, torch.float16)


def more_calls(calls: int) -> int:
    """How often this process calls the network for nothing, because another one of a split base calls it more often."""
    group = processes()
    return group.most(calls) - calls if group.splits else 0


@contextmanager
def split_base(model: Any, pattern: str, placed: Placed) -> Iterator[Placed]:
    """Have each process hold a share of every block of a loaded MODEL, for a while, where that is asked for.

    Enter it last: what is done to single layers needs their whole weights, and holds for the gathered ones, too.

    Args:
        model: Loaded by ``load_for_training``; for a split base that is in the computer's memory.
        pattern: Of the blocks' names.
        placed: As that has placed it.

    Raises:
        ValueError: the weights are stored in a way that cannot be split.
    """
    group = processes()
    if not group.splits:
        yield placed
        return
    network = model.model.diffusion_model
    blocks = transformer_blocks(network, pattern)
    _check(blocks)
    shares = sum(weight.nbytes for block in blocks for weight in block.parameters())
    with group.split(network, blocks, placed.device):
        yield Placed(placed.device, placed.resident - shares + shares / group.count)


def _check(blocks: list[Any]) -> None:
    """Refuse weights that are no plain numbers: a share of them cannot be unpacked."""
    for block in blocks:
        packed = any(is_foreign(module) for module in block.modules())
        kinds = [weight.dtype for weight in block.parameters()]
        wrapped = any(hasattr(weight, "__tensor_flatten__") for weight in block.parameters())
        odd = [kind for kind in kinds if kind not in PLAIN]
        if packed or wrapped or odd:
            what = "packed by another pack" if packed else "quantised" if wrapped or not odd else str(odd[0])[6:]
            raise ValueError(
                f"--shard-base splits weights in fp32, bf16 or fp16, those of this model are {what}; load the bf16 or "
                "fp16 file with a stock loader, or start without --shard-base: they may fit as they are"
            )
