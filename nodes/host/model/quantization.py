"""Quantised weights: how to tell what a MODEL's weights are quantised as."""

from __future__ import annotations

from typing import Any


def quantised_as(model: Any) -> str:
    """What the host MODEL's weights are quantised as, for sentences; empty where they are not."""
    for module in model.model.diffusion_model.modules():
        kind = getattr(module, "quant_format", None)
        if kind is not None or hasattr(getattr(module, "weight", None), "__tensor_flatten__"):
            kind = kind or "float8"
            return "scaled fp8" if kind.startswith("float8") else kind
    return ""
