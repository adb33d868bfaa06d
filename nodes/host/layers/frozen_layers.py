"""Frozen layers whose weights the host casts at each call: no cast copy is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CLOSE = 0.1  # relative; rounding in 16 bits stays far below, a wrong gradient does not


@contextmanager
def recast_in_backward(network: nn.Module, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Let such layers cast their weights once more in the backward pass, for a while.

    Autograd would keep each copy until then: a second model where the weights are fp8 or lie in host memory,
    and overwritten numbers where the host puts the next layer's copy in the same place.

    Layers of other packs, which unpack their weights in their own way, are computed again as they are.

    Args:
        network: The bare network; its weights do not change.
        dtype: What it computes in.
        device: Where it computes.

    Raises:
        ValueError: another pack's layers let no right gradient through.
    """
    check_gradients(network, dtype, device)
    changed: list[nn.Module] = []
    try:
        for module in network.modules():
            weight = getattr(module, "weight", None)
            if not getattr(module, "comfy_cast_weights", False) or weight is None or "forward" in vars(module):
                continue
            if _is_plain_linear(module) and (weight.dtype != dtype or weight.device != device):
                module.forward = _recasting(module)
            elif weight.device != device or (_is_foreign(module) and _is_packed(module, dtype)):
                module.forward = _computing_again(module.forward)
            else:
                continue  # as it lies, or a copy too small to matter
            changed.append(module)
        yield
    finally:
        for module in changed:
            del module.forward


def check_gradients(network: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Try one layer of each kind that is another pack's: what comes back must be the gradient of what it computes.

    For ``f(x) = W x + b`` and ``d = f(2 x) - f(x)``: the gradient of ``<d, f>`` at x, times x, is ``<d, d>``.

    Raises:
        ValueError: it is not, or nothing comes back; what lies before such a layer would learn nonsense.
    """
    kinds: dict[type, Any] = {type(module): module for module in network.modules() if _is_foreign(module)}
    for kind, layer in kinds.items():
        x = torch.randn(2, layer.in_features, generator=torch.Generator().manual_seed(0)).to(device, dtype)
        if not _passes(layer, x):
            raise ValueError(
                f"the model's layers of the kind {kind.__module__}.{kind.__qualname__} let no right gradient through; "
                "load the fp16 or bf16 file with a stock loader"
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
    found, expected = (gradient.double() * x).sum(), moved.double().square().sum()
    return bool((found - expected).abs() <= CLOSE * expected)


def _is_foreign(module: nn.Module) -> bool:
    """Whether this is a linear layer of another pack; the host's own and torch's are known."""
    known = type(module).__module__.startswith(("comfy.", "torch."))
    return not known and isinstance(module, nn.Linear) and getattr(module, "weight", None) is not None


def has_packed_layers(network: nn.Module) -> bool:
    """Whether another pack stores the weights of linear layers as other numbers than they are, GGUF's for one."""
    layers: list[Any] = [module for module in network.modules() if _is_foreign(module)]
    return any(not one.weight.is_floating_point() or _is_packed(one, one.weight.dtype) for one in layers)


def _is_packed(layer: Any, dtype: torch.dtype) -> bool:
    """Whether its weight is stored as other numbers than it computes with; the size is asked, shapes may pretend."""
    return layer.weight.dtype != dtype or tuple(layer.weight.size()) != (layer.out_features, layer.in_features)


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
