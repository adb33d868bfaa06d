"""Something that looks tuned: random numbers where Tune-A-Video has trained ones."""

from __future__ import annotations

from typing import Any

import torch

from pack.methods.tune_a_video import PER_FRAME, TemporalLayers, Tuned
from pack.nodes.host.model.image_model import base_of
from pack.nodes.host.tune_a_video.apply import new_layers
from pack.nodes.host.tune_a_video.inflation import blocks_of


def trained(layers: TemporalLayers, seed: int = 5) -> dict[str, torch.Tensor]:
    """Temporal weights whose output is not zero."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=generator) * 0.2 for name, value in layers.tensors().items()}


def tuned_of(model: Any, group_norms: str = PER_FRAME) -> Tuned:
    """Something that was tuned: every query and every temporal weight is another."""
    generator = torch.Generator().manual_seed(6)
    queries = {}
    for name, block in blocks_of(model).items():
        for layer in ("attn1", "attn2"):
            shape = getattr(block, layer).to_q.weight.shape
            queries[f"{name}.{layer}.to_q"] = torch.randn(shape, generator=generator) * 0.1
    return Tuned(base_of(model), trained(new_layers(model)), queries, group_norms)
