"""A network that computes shapes alone: what a step takes is counted at its true size, and nothing is allocated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from .forwards import is_replaced
from .network_caches import clear_network_caches
from .stored_weights import is_foreign, is_stored_otherwise


@dataclass(frozen=True)
class _Simulation:
    dtype: torch.dtype  # of weights that the host casts
    undo: ExitStack  # what was put on models


_simulated: ContextVar[_Simulation | None] = ContextVar("simulated", default=None)


def is_simulated() -> bool:
    """Whether sessions are opened without weights now."""
    return _simulated.get() is not None


def moved(trained: Any, device: torch.device) -> Any:
    """What is trained, on its device; where shapes alone are computed it is there, and torch could not move it."""
    return trained if is_simulated() else trained.to(device)


@contextmanager
def simulation(dtype: torch.dtype) -> Iterator[None]:
    """Let everything in a with block compute shapes alone; weights count as of this type, and lie on the CPU.

    A single number that is asked for is that of a tensor which has numbers, else 0: it decides nothing about shapes.

    Source: ``torch._subclasses.FakeTensorMode``, as ``torch.compile`` and torch's own memory trackers use it.
    """
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    class Shapes(FakeTensorMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default:
                asked = args[0]
                return func(torch.zeros((), dtype=asked.dtype)) if isinstance(asked, FakeTensor) else func(asked)
            return super().__torch_dispatch__(func, types, args, kwargs or {})

    with ExitStack() as undo:
        token = _simulated.set(_Simulation(dtype, undo))
        try:
            with Shapes(allow_non_fake_inputs=True):
                yield
        finally:
            _simulated.reset(token)
            clear_network_caches()


def patched_for_simulation(model: Any) -> None:
    """Put a MODEL's patches on its network until the simulation ends, as loading it would; weights stay away."""
    simulated = _simulated.get()
    if simulated is not None:
        model.patch_model(load_weights=False)
        simulated.undo.callback(model.unpatch_model, unpatch_weights=False)


@contextmanager
def simulated_weights(network: nn.Module) -> Iterator[None]:
    """Put tensors of the same shapes without memory in the place of a network's weights, for a while."""
    swapped: list[tuple[dict[str, Any], str, Any]] = []
    replaced: list[Any] = []
    try:
        for module in network.modules():
            if _is_packed(module):
                replaced.append(module)
                module.forward = partial(_product, module)
            tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for table in tables:
                for name, tensor in table.items():
                    if tensor is not None:
                        swapped.append((table, name, tensor))
                        table[name] = _stand_in(module, tensor)
        yield
    finally:
        for module in replaced:
            del module.forward
        for table, name, tensor in swapped:
            table[name] = tensor


def _is_packed(module: nn.Module) -> bool:
    """Whether a layer of another pack unpacks its weight in its own way, which needs numbers to work on."""
    simulated = _simulated.get()
    if simulated is None or is_replaced(module):
        return False
    return is_foreign(module) and is_stored_otherwise(module, simulated.dtype)


def _product(layer: Any, x: Tensor) -> Tensor:
    """What such a layer gives, which is computed again in the backward pass."""
    found: Any = checkpoint(nn.functional.linear, x, layer.weight.to(x), layer.bias, use_reentrant=False)
    return found


def _stand_in(module: nn.Module, tensor: Any) -> Any:
    """Of the type in which the layer computes, whatever the host has stored: a cast copy is gone after the layer."""
    casts = getattr(module, "comfy_cast_weights", False) or hasattr(tensor, "__tensor_flatten__")
    simulated = _simulated.get()
    numbers = tensor.is_floating_point() or is_foreign(module)  # packed ones are bytes
    dtype = simulated.dtype if simulated and casts and numbers else tensor.dtype
    stand_in = torch.empty(tuple(tensor.shape), dtype=dtype)
    return nn.Parameter(stand_in, requires_grad=False) if isinstance(tensor, nn.Parameter) else stand_in


@contextmanager
def shortened(network: nn.Module, pattern: str, depth: int) -> Iterator[None]:
    """Leave a network so many of its blocks, whose whole names match the pattern, for a while."""
    lists = {name.rpartition(".")[0] for name, _ in network.named_modules() if re.fullmatch(pattern, name)}
    kept: list[tuple[nn.Module, dict[str, Any]]] = []
    try:
        for name in lists:
            blocks = network.get_submodule(name)
            kept.append((blocks, blocks._modules))
            blocks._modules = dict(list(blocks._modules.items())[:depth])
        yield
    finally:
        for blocks, modules in kept:
            blocks._modules = modules


def left_out() -> saved_tensors_hooks:
    """In the place of ``save_on_cpu``: what autograd saves in the body counts only once it is there again."""

    def pack(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
        return tensor.shape, tensor.dtype

    def unpack(kept: tuple[torch.Size, torch.dtype]) -> Tensor:
        return torch.empty(kept[0], dtype=kept[1])

    return saved_tensors_hooks(pack, unpack)
