"""Quantised weights: how to tell them, and which of the host's MODELs cannot be trained for having them."""

from __future__ import annotations

from typing import Any

from torch import nn


def check_trainable(model: Any) -> None:
    """Refuse a host MODEL with quantised weights: the kernels that use them have no backward pass.

    Weights in plain fp8 are no such; the host casts them to its compute type first.

    Raises:
        ValueError: the weights are quantised.
    """
    kind = quantised_as(model)
    if kind:
        raise ValueError(
            f"the {type(model.model).__name__}'s weights are {kind}, which cannot be trained on; "
            "load the fp16 or bf16 file"
        )


def quantised_as(model: Any) -> str:
    """What the host MODEL's weights are quantised as, for sentences; empty where they are not."""
    for module in model.model.diffusion_model.modules():
        quantised = hasattr(getattr(module, "weight", None), "_qdata")
        if quantised or getattr(module, "quant_format", None) is not None or _scaled(module):
            kind = getattr(module, "quant_format", None) or "float8"
            return "scaled fp8" if kind.startswith("float8") else kind
    return ""


def _scaled(module: nn.Module) -> bool:
    """Whether this is a scaled fp8 layer of a host that has no quantised tensors."""
    return getattr(module, "scale_weight", None) is not None
