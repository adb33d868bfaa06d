"""Transformer blocks that torch compiles while they are trained: the same function to rounding, in less time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from ..model.families import Family
from .block_calls import BlockCalls
from .checkpointing import transformer_blocks
from .forwards import is_replaced, wrapped_forwards

VARIANTS = 8  # of a block's inputs that are compiled, as of batches of other sizes; more are computed as they come


def reason_against(network: nn.Module, family: Family, device: torch.device) -> str:
    """Why the blocks of a network that is ready to be trained are not compiled; "" where nothing is in the way."""
    if family.changes_tokens:
        return f"those of {family.name} compute in place"
    blocks = transformer_blocks(network, family.blocks)
    if any(is_replaced(module) for block in blocks for module in block.modules()):
        return "weights are lent, or stored otherwise than they are computed with"
    return _missing_compiler(device)


def _missing_compiler(device: torch.device) -> str:
    """What is in the way of compiling on a device, found by trying."""
    try:
        torch.compile(lambda x: (x * 2 + 1).sum(), dynamic=False)(torch.ones(8, device=device))
    except Exception as error:  # of torch, Triton or a compiler, each of its own kind
        return f"no compiler works here: {first_line(error)}"
    return ""


def first_line(error: BaseException) -> str:
    """What an error says first; of a compiler's, the rest is its output."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def compiled_blocks(network: nn.Module, pattern: str) -> Iterator[BlockCalls]:
    """Compile each block of a bare network at its first call with gradients, for a while; their calls.

    Enter it before the blocks are wrapped for checkpointing. A shape is compiled on its own, so that up to
    ``VARIANTS`` of them no result depends on which came before; where shapes vary, all of them are compiled at once.
    Calls without gradients, as in validation, stay as they were.

    Source: ``torch.compile``, block by block as its guide to regional compilation says.
    """
    import torch._dynamo.config as dynamo
    from torch.fx.experimental import _config

    shapes: Any = _config
    blocks = transformer_blocks(network, pattern)
    limit = VARIANTS * len(blocks)  # blocks share their code, to which torch's own limit of 8 applies
    calls = BlockCalls(blocks)
    try:
        with ExitStack() as stack:
            stack.enter_context(dynamo.patch(recompile_limit=limit, accumulated_recompile_limit=4 * limit))
            # Else sizes that happen to be equal in the first clip are taken for one, and others are compiled anew.
            stack.enter_context(shapes.patch(use_duck_shape=False))
            for block in blocks:
                stack.enter_context(wrapped_forwards([block], partial(_compiling, calls, block)))
            yield calls
    finally:
        torch.compiler.reset()  # else torch keeps the code, and counts it against the next run's


def _compiling(calls: BlockCalls, block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    compiled = cache(lambda shapes_vary: torch.compile(forward, dynamic=shapes_vary))

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.pass_by(block, compiled(calls.shapes_vary), args, kwargs)
        compute: Any = compiled(calls.shapes_vary) if calls.compiled and torch.is_grad_enabled() else forward
        return compute(*args, **kwargs)

    return call
