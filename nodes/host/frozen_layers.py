"""Frozen layers whose weights the host casts at each call: no cast copy is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@contextmanager
def recast_in_backward(network: nn.Module, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Let such layers cast their weights once more in the backward pass, for a while.

    Autograd would keep each copy until then: a second model where the weights are fp8 or lie in host memory,
    and overwritten numbers where the host puts the next layer's copy in the same place.

    Args:
        network: The bare network; its weights do not change.
        dtype: What it computes in.
        device: Where it computes.
    """
    changed: list[nn.Module] = []
    try:
        for module in network.modules():
            weight = getattr(module, "weight", None)
            if not getattr(module, "comfy_cast_weights", False) or weight is None or "forward" in vars(module):
                continue
            if _is_plain_linear(module) and (weight.dtype != dtype or weight.device != device):
                module.forward = _recasting(module)
            elif weight.device != device:
                module.forward = _computing_again(module.forward)
            else:
                continue  # as it lies, or a copy too small to matter
            changed.append(module)
        yield
    finally:
        for module in changed:
            del module.forward


def _is_plain_linear(module: nn.Module) -> bool:
    """Whether the host's own cast gives this layer's weight; other packs' layers may unpack theirs in their way."""
    return isinstance(module, nn.Linear) and type(module).__module__ == "comfy.ops"


def _recasting(layer: nn.Module) -> Callable[[Tensor], Any]:
    return lambda x: _FrozenLinear.apply(x, layer)


def _computing_again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return call


class _FrozenLinear(torch.autograd.Function):
    """``y = W x + b`` with constant W and b, ``dL/dx = W^T dL/dy``; neither x nor W is saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer, ctx.dtype = layer, x.dtype
        with _cast(layer, x) as (weight, bias):
            return torch.nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].to(ctx.dtype)
        with _cast(ctx.layer, gradient) as (weight, _):
            return gradient @ weight, None


@contextmanager
def _cast(layer: nn.Module, like: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Weight and bias as the host casts them for an input of this type and place."""
    from comfy.ops import cast_bias_weight, uncast_bias_weight

    weight, bias, stream = cast_bias_weight(layer, like, offloadable=True)
    try:
        yield weight, bias
    finally:
        uncast_bias_weight(layer, weight, bias, stream)
