"""Weights with a magnitude of their own (DoRA) as patches of the host, whose own ones divide by another norm."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def with_magnitude(adapter: Any, magnitude: Tensor) -> Any:
    """A patch of the host that gives what an adapter makes of a weight the magnitude of a file.

    Args:
        adapter: the host's patch, which gives ``W + D``.
        magnitude: a number for each output, ``[out]`` or ``[out, 1, ...]``, or for each input, ``[1, in, ...]``.
    """
    return _dora()(adapter, magnitude)


def decomposed(merged: Tensor, magnitude: Tensor) -> Tensor:
    """``m (W + D) / |W + D|``, the norm over all axes along which the magnitude is one number.

    Source: arXiv 2402.09353, eq. 5.
    """
    if magnitude.ndim == 1:
        magnitude = magnitude.view(-1, *[1] * (merged.ndim - 1))
    axes = [axis for axis in range(merged.ndim) if magnitude.shape[axis] == 1]
    return merged * (magnitude.to(merged) / torch.linalg.vector_norm(merged, dim=axes, keepdim=True))


@lru_cache(maxsize=1)
def _dora() -> Any:
    """The class, made when it is needed: it is one of the host's."""
    from comfy.weight_adapter.base import WeightAdapterBase

    class DoraAdapter(WeightAdapterBase):
        name = "dora"

        def __init__(self, inner: Any, magnitude: Tensor) -> None:
            self.inner, self.magnitude = inner, magnitude
            self.loaded_keys: set[str] = set(inner.loaded_keys)
            self.weights: Any = (*inner.weights, magnitude)

        def calculate_weight(
            self,
            weight: Tensor,
            key: str,
            strength: float,
            strength_model: float,
            offset: Any,
            function: Any,
            intermediate_dtype: torch.dtype = torch.float32,
            original_weight: Any = None,
        ) -> Tensor:
            """The weight moved towards the one of the file by the strength, so that at 0 it is what it was."""
            base = weight.to(intermediate_dtype)
            plain = (1.0, strength_model, offset, lambda change: change, intermediate_dtype, original_weight)
            merged = self.inner.calculate_weight(base.clone(), key, *plain)
            change = decomposed(merged.to(intermediate_dtype), self.magnitude.to(base.device)) - base
            return (base + strength * function(change)).to(weight.dtype)

    return DoraAdapter
