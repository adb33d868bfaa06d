"""Tensors that hold no numbers, noticed where they come in."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def is_finite(tensor: Tensor) -> bool:
    """Whether every value is a number; what is not floating point always is."""
    if tensor.is_complex():
        return is_finite(torch.view_as_real(tensor))
    if not tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
        return True
    tensor = tensor.detach()
    if tensor.element_size() == 1:  # of most kinds of float8 nothing but a cast is implemented
        tensor = tensor.float()
    if tensor.device.type == "cpu":  # where it matters that ``isfinite`` takes more memory than the tensor has
        return all(math.isfinite(end) for end in tensor.aminmax())
    return bool(torch.isfinite(tensor).all())


def require_finite(tensors: Mapping[str, Tensor], what: str, advice: str) -> None:
    """Refuse tensors with NaN or infinite values; ``what`` holds them, ``advice`` says what to do.

    Raises:
        ValueError: a value is not finite.
    """
    broken = [name for name, tensor in tensors.items() if isinstance(tensor, Tensor) and not is_finite(tensor)]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise ValueError(f"{what} holds values that are no numbers (NaN or infinite) in {broken[0]}{more}; {advice}")
