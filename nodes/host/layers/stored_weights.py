"""How a network's weights are stored, whatever their tensors say of themselves: parts, bytes and kinds of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def stored_parts(tensor: Any) -> Iterator[Tensor]:
    """The tensors that hold the numbers: those inside of a quantised one, else the tensor itself."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from stored_parts(getattr(tensor, name))
    else:
        yield tensor


def stored_bytes(tensors: Iterable[Any]) -> int:
    """Memory that tensors take; a quantised one says it has the type and shape of what it was made from."""
    return sum(part.numel() * part.element_size() for tensor in tensors for part in stored_parts(tensor))


def over_parts(tensor: Any, change: Callable[[Any], Any]) -> Any:
    """A quantised tensor of the same kind over what ``change`` makes of each part."""
    names, context = tensor.__tensor_flatten__()
    parts = {name: change(getattr(tensor, name)) for name in names}
    return type(tensor).__tensor_unflatten__(parts, context, tensor.size(), tensor.stride())


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear layer with a weight of its own; the host's quantised ones are no ``nn.Linear``."""
    weight = getattr(module, "weight", None)
    sizes = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    return isinstance(weight, Tensor) and weight.ndim == 2 and all(isinstance(size, int) for size in sizes)


def is_foreign(module: nn.Module) -> bool:
    """Whether this is a linear layer of another pack; the host's own and torch's are known."""
    known = type(module).__module__.startswith(("comfy.", "torch."))
    return not known and is_linear(module)


def is_stored_otherwise(layer: Any, dtype: torch.dtype) -> bool:
    """Whether a linear layer's weight is stored as other numbers than it computes with in ``dtype``.

    The size is asked: shapes and types may pretend.
    """
    weight = layer.weight
    if hasattr(weight, "__tensor_flatten__"):
        return True
    return weight.dtype != dtype or tuple(weight.size()) != (layer.out_features, layer.in_features)


def quantised_as(model: Any) -> str:
    """What the host MODEL's weights are quantised as, for sentences; empty where they are not."""
    for module in model.model.diffusion_model.modules():
        kind = getattr(module, "quant_format", None)
        if kind is not None or hasattr(getattr(module, "weight", None), "__tensor_flatten__"):
            kind = kind or "float8"
            return "scaled fp8" if kind.startswith("float8") else kind
    return ""
