"""Frozen layers whose weights the host casts at each call: no cast copy is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .forwards import is_replaced
from .simulation import is_simulated
from .stored_weights import is_foreign, is_linear, is_stored_otherwise

CLOSE = 0.1  # relative; rounding in 16 bits and in the host's quantised products stays below, a wrong gradient does not


@contextmanager
def recast_in_backward(network: nn.Module, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Let such layers cast or dequantise their weights once more in the backward pass, for a while.

    Autograd would keep each copy until then: a second model where the weights are quantised or lie in host memory,
    and overwritten numbers where the host puts the next layer's copy in the same place.

    Layers of other packs, which unpack their weights in their own way, are computed again as they are.

    Args:
        network: The bare network; its weights do not change.
        dtype: What it computes in.
        device: Where it computes.

    Raises:
        ValueError: a layer lets no right gradient through.
    """
    if is_simulated():  # weights that need no cast
        yield
        return
    changed: list[nn.Module] = []
    try:
        for module in network.modules():
            forward = _recasting_forward(module, dtype, device)
            if forward is not None:
                module.forward = forward
                changed.append(module)
        check_gradients(network, dtype, device)
        yield
    finally:
        for module in changed:
            del module.forward


def _recasting_forward(module: Any, dtype: torch.dtype, device: torch.device) -> Callable[..., Any] | None:
    """What takes the place of a layer's forward; None: it stays, because it computes with what is stored."""
    weight = getattr(module, "weight", None)
    casts = getattr(module, "comfy_cast_weights", False) or hasattr(weight, "__tensor_flatten__")
    if not casts or weight is None or is_replaced(module):
        return None
    otherwise = is_linear(module) and is_stored_otherwise(module, dtype)
    if is_of_the_host(module) and (otherwise or weight.device != device):
        return _recasting(module)
    if weight.device != device or (otherwise and is_foreign(module)):
        return _computing_again(module.forward)
    return None  # as it lies, or a copy too small to matter


def check_gradients(network: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Try one layer of each kind that stores its weight in its own way: its gradient must be that of what it computes.

    For ``f(x) = W x + b`` and ``d = f(2 x) - f(x)``: the gradient of ``<d, f>`` at x, times x, is ``<d, d>``.

    Raises:
        ValueError: it is not, or nothing comes back; what lies before such a layer would learn nonsense.
    """
    kinds: dict[Any, Any] = {}
    for module in network.modules():
        if is_linear(module) and (is_foreign(module) or is_stored_otherwise(module, dtype)):
            kinds.setdefault((type(module), getattr(module, "quant_format", None)), module)
    for (kind, stored), layer in kinds.items():
        x = torch.randn(2, layer.in_features, generator=torch.Generator().manual_seed(0)).to(device, dtype)
        if not _passes(layer, x):
            name = f"{kind.__module__}.{kind.__qualname__}{f' ({stored})' if stored else ''}"
            raise ValueError(
                f"the model's layers of the kind {name} let no right gradient through; load the fp16 or bf16 file "
                "with a stock loader"
            )


def _passes(layer: Any, x: Tensor) -> bool:
    with torch.no_grad():
        moved = layer.forward(2 * x) - layer.forward(x)
    with torch.enable_grad():
        x.requires_grad_()
        output = layer.forward(x)
        if not output.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(output, x, moved)
    found, expected = (gradient.float() * x.float()).sum(), moved.float().square().sum()
    return bool((found - expected).abs() <= CLOSE * expected)


def has_packed_layers(network: nn.Module) -> bool:
    """Whether another pack stores the weights of linear layers as other numbers than they are, GGUF's for one."""
    layers: list[Any] = [module for module in network.modules() if is_foreign(module)]
    return any(not one.weight.is_floating_point() or is_stored_otherwise(one, one.weight.dtype) for one in layers)


def is_of_the_host(module: nn.Module) -> bool:
    """Whether the host's own cast gives this linear layer's weight; other packs may unpack theirs in their way."""
    return is_linear(module) and type(module).__module__ == "comfy.ops"


def _recasting(layer: nn.Module) -> Callable[[Tensor], Any]:
    forward = layer.forward
    return lambda x: _FrozenLinear.apply(x, layer, forward)


def _computing_again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return call


class _FrozenLinear(torch.autograd.Function):
    """``y = W x + b`` with constant W and b, ``dL/dx = W^T dL/dy``; neither x nor a copy of W is saved.

    Forward is the host's own, with its quantised product where it has one for this card. Backward dequantises W,
    one layer at a time, on every host, whether that has a backward pass for such layers or not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module, forward: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.layer, ctx.dtype = layer, x.dtype
        return forward(x.detach())  # detached, so that the host takes the way on which it keeps nothing

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].to(ctx.dtype)
        with _cast(ctx.layer, gradient) as weight:
            found = gradient @ weight
        smoothing = getattr(ctx.layer, "pre_quant_scale", None)  # the host multiplies the layer's input with it
        return (found if smoothing is None else found * smoothing.to(found)), None, None


@contextmanager
def _cast(layer: nn.Module, like: Tensor) -> Iterator[Tensor]:
    """The weight as the host casts it for an input of this type and place, as plain numbers."""
    from comfy.ops import cast_bias_weight, uncast_bias_weight

    weight, bias, stream = cast_bias_weight(layer, like, offloadable=True)
    try:
        # The host leaves a quantised weight as it is where it says that it has the wanted type already.
        yield weight.dequantize().to(like.dtype) if hasattr(weight, "__tensor_flatten__") else weight
    finally:
        uncast_bias_weight(layer, weight, bias, stream)
