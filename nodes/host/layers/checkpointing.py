"""Gradient checkpointing of a network's transformer blocks: time for memory, and the same numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

from ....training.core.config import CHECKPOINTING
from ....training.core.placement import computed_again
from .forwards import wrapped_forwards
from .simulation import is_simulated, left_out

OFF, KEEP_ATTENTION, _BLOCKS, OFFLOADED = CHECKPOINTING
KERNELS = (  # of fused attention; what torch composes of products and a softmax would keep the whole matrix
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)


def transformer_blocks(network: nn.Module, pattern: str) -> list[nn.Module]:
    """The blocks of a bare network, by a pattern that the whole name must match.

    Raises:
        ValueError: it has none.
    """
    blocks = [module for name, module in network.named_modules() if re.fullmatch(pattern, name)]
    if not blocks:
        raise ValueError(
            f"{type(network).__name__} has no blocks named {pattern!r} to compute again; switch checkpointing off"
        )
    return blocks


@contextmanager
def checkpointed_blocks(network: nn.Module, pattern: str, mode: str, kept: int = 0) -> Iterator[str]:
    """Keep only the input of each block and compute it again in the backward pass, for a while; what it is in words.

    The last ``kept`` blocks keep everything. ``mode`` is one of ``CHECKPOINTING``: offloaded inputs wait in host
    memory; *keep attention* keeps what long attention gives, too, the dearest part of a block to compute again. The
    host's patches, its ``transformer_options`` as they were at the block, and hooks on the layers act in both passes.

    Source: arXiv 1604.06174, section 4, with one segment a block.
    """
    blocks = transformer_blocks(network, pattern) if mode != OFF else []
    again = blocks[: max(0, len(blocks) - kept)]
    with wrapped_forwards(again, partial(_checkpointing, mode=mode)):
        yield computed_again(mode, len(blocks) - len(again), len(blocks))


def _checkpointing(forward: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """``forward`` that is called once more in the backward pass instead of keeping what it needs there."""

    kept: dict[str, Any] = {"context_fn": _keeping_attention} if mode == KEEP_ATTENTION else {}

    def call(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        run, carried = _repeatable(*_flat(forward, args), kwargs)
        with _in_host_memory() if mode == OFFLOADED else nullcontext():
            return checkpoint(run, *carried, use_reentrant=False, **kept)

    return call


def _keeping_attention() -> tuple[Any, Any]:
    """Contexts of both passes in which the output of long attention is kept and everything else computed again.

    Source: ``torch.utils.checkpoint.create_selective_checkpoint_contexts``, whose policy is asked at each operation.
    """
    from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

    def policy(_context: Any, operation: Any, *args: Any, **_options: Any) -> CheckpointPolicy:
        # To the few tokens of a prompt it is cheap, and its output as large as that among the frames' many.
        kept = operation in attention and args[1].shape[-2] >= args[0].shape[-2]
        return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE

    attention = _attention_kernels()
    return create_selective_checkpoint_contexts(policy)


@cache
def _attention_kernels() -> frozenset[Any]:
    found = (getattr(torch.ops.aten, name, None) for name in KERNELS)
    return frozenset(kernel.default for kernel in found if kernel is not None)


def _flat(forward: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A call whose first argument is a tuple, as of a video's and a sound's tokens, as one of its elements."""
    if not args or not isinstance(args[0], tuple):
        return forward, args
    count = len(args[0])
    return lambda *flat, **options: forward(flat[:count], *flat[count:], **options), (*args[0], *args[1:])


def _in_host_memory() -> Any:
    return left_out() if is_simulated() else save_on_cpu(pin_memory=torch.cuda.is_available())


def _repeatable(
    forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], list[Tensor]]:
    """A call as a function of the tensors that carry the gradient from block to block, and these tensors.

    It holds everything else, which all blocks share, and none of these: autograd alone decides how long.
    """
    given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
    places, names = range(len(args)), tuple(kwargs)
    carried = [key for key, value in given.items() if isinstance(value, Tensor) and value.requires_grad]
    tensors = [given.pop(key) for key in carried]
    # The host writes the number of the next block into its options, so that the second pass needs a copy.
    kept = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    passes = [kept, given]

    def run(*states: Tensor) -> Any:
        inputs = {**(passes.pop() if len(passes) > 1 else kept), **dict(zip(carried, states, strict=True))}
        return forward(*(inputs[i] for i in places), **{name: inputs[name] for name in names})

    return run, tensors
