"""Gradients inside the host: its nodes run in inference mode, whose tensors autograd refuses to save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .simulation import is_simulated, simulated_weights
from .stored_weights import over_parts, stored_parts


@contextmanager
def gradients() -> Iterator[None]:
    """Leave inference mode, record gradients, and tell the host that it is training.

    Without its flag the host uses fused kernels that have no backward pass.
    """
    import comfy.model_management as management

    before = getattr(management, "in_training", False)
    with torch.inference_mode(False), torch.enable_grad():
        management.in_training = True
        try:
            yield
        finally:
            management.in_training = before


@contextmanager
def ordinary_weights(network: nn.Module) -> Iterator[None]:
    """Show autograd the weights as ordinary frozen tensors for a while, without copying them.

    A tensor made in inference mode stays one, but a new tensor may be set to its storage. The module's own
    parameter objects come back at the end, so the host's model is what it was.
    """
    if is_simulated():
        with simulated_weights(network):
            yield
        return
    swapped: list[tuple[dict[str, Any], str, Tensor, Tensor]] = []
    try:
        for module in network.modules():
            tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for table in tables:
                for name, tensor in table.items():
                    if tensor is None or not (tensor.is_inference() or tensor.requires_grad):
                        continue
                    stand_in: Any = ordinary(tensor)
                    if isinstance(tensor, nn.Parameter):
                        stand_in = _parameter(stand_in)
                    swapped.append((table, name, tensor, stand_in))
                    table[name] = stand_in
        yield
    finally:
        for table, name, tensor, stand_in in swapped:
            if table.get(name) is stand_in and _in_place(tensor, stand_in):
                table[name] = tensor  # else the host has moved or replaced it meanwhile: its word counts


def _parameter(tensor: Tensor) -> Any:
    """A frozen parameter over the same memory; torch's own way copies the scales of a quantised one."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return nn.Parameter(tensor, requires_grad=False)
    found: Any = tensor
    found._is_param = True  # what ``isinstance(..., nn.Parameter)`` asks for
    return found


def _in_place(tensor: Tensor, stand_in: Tensor) -> bool:
    """Whether a stand-in still lies where it was made; that of an unknown wrapper is a copy."""
    if hasattr(tensor, "__tensor_flatten__"):
        pairs = zip(stored_parts(tensor), stored_parts(stand_in), strict=True)
        return all(one.data_ptr() == other.data_ptr() for one, other in pairs)
    return _is_wrapper(tensor) or stand_in.data_ptr() == tensor.data_ptr()


def _is_wrapper(tensor: Tensor) -> bool:
    return type(tensor) not in (Tensor, nn.Parameter)


def ordinary(tensor: Tensor) -> Tensor:
    """A tensor over the same memory that autograd may save; call it outside inference mode."""
    if not tensor.is_inference():
        return tensor.detach()
    if hasattr(tensor, "__tensor_flatten__"):
        return over_parts(tensor, ordinary)
    if _is_wrapper(tensor):
        copy = tensor.clone()  # an unknown wrapper has no storage that is known to be shared
        return _of_its_class(tensor) if copy.is_inference() else copy
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return empty.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())


def _of_its_class(tensor: Tensor) -> Tensor:
    """For a class that gives itself out as its copy, as those of GGUF weights do: the same memory and attributes."""
    found = ordinary(tensor.as_subclass(Tensor)).as_subclass(type(tensor))
    vars(found).update(vars(tensor))
    return found
