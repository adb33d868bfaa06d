"""What was tuned with Tune-A-Video, put on the host's own Stable Diffusion networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....methods.tune_a_video import TemporalLayers, Tuned, shape_of
from ..model.families import text_width
from ..model.fingerprint import original_weights
from ..model.forwards import NETWORK
from ..model.image_model import base_of
from .inflation import blocks_of, inflate


def new_layers(model: Any, seed: int = 0) -> TemporalLayers:
    """Untrained temporal attention for every block of a MODEL."""
    shapes = {name: (block.norm3.normalized_shape[0], block.n_heads) for name, block in blocks_of(model).items()}
    return TemporalLayers(shapes, seed)


def apply_tuned(model: Any, tuned: Tuned, strength: float, group_norms: str | None = None) -> Any:
    """A clone of ``model`` that sees clips and moves as the tuned one.

    Applied twice, temporal attentions and queries add up. At strength 0 only the sparse-causal attention is left.

    Raises:
        ValueError: it was tuned on another base, or the clone has other settings already.
    """
    base = base_of(model)
    if tuned.base not in ("", base):
        raise ValueError(f"this was tuned on {tuned.base}, the model is {base}; load the base it was tuned on")
    reads = text_width(model, base)
    if tuned.text_width and reads is not None and tuned.text_width != reads.channels:
        raise ValueError(
            f"this was tuned on a model that reads texts of {tuned.text_width} channels, the {base} that is loaded "
            f"reads {reads.channels}; load the base it was tuned on"
        )
    weights = model.model.diffusion_model.state_dict()
    for name, delta in tuned.queries.items():
        if tuple(delta.shape) != shape_of(weights, f"{name}.weight"):
            raise ValueError(
                f"this was tuned on a model whose {name} is {tuple(delta.shape)}, the {base} that is loaded has "
                f"{shape_of(weights, f'{name}.weight')}; load the base it was tuned on"
            )
    if tuned.whole:
        own = original_weights(model)
        whole = {name: value - own[f"{NETWORK}{name}.weight"].to(value) for name, value in tuned.queries.items()}
        tuned = replace(tuned, queries=whole)
    layers = new_layers(model).load(tuned.temporal).requires_grad_(False) if tuned.temporal else None
    clone = inflate(
        model, layers if strength else None, strength, group_norms or tuned.group_norms, tuned.sparse_causal
    )
    deltas = {f"{NETWORK}{name}.weight": ("diff", (delta,)) for name, delta in tuned.queries.items()}
    clone.add_patches(deltas if strength else {}, strength)
    return clone
