"""The parts of the host's image UNet that see clips; ``inflation`` puts them in place.

Each gets the forward it replaces first, and takes what the host gives that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import ReferenceType

from torch import Tensor

from ....methods.tune_a_video import TemporalAttention, sparse_causal


def sparse_causal_forward(
    original: Callable[..., Tensor],
    x: Tensor,
    context: Tensor | None = None,
    value: Tensor | None = None,
    transformer_options: Mapping[str, Any] = {},
    **options: Any,
) -> Tensor:
    """Self-attention of each frame to the first and the one before it, where the host has it to itself.

    Node packs that cut frames into tiles have more in the batch than frames; the tiles stay apart.
    """
    parts = parts_of(transformer_options)
    frames = frames_of(transformer_options["activations_shape"][0], parts)

    def spread(tokens: Tensor) -> Tensor:
        return sparse_causal(tokens.unflatten(0, (parts, frames, -1))).flatten(0, 2)

    value = None if value is None or value is context else spread(value)
    context = spread(x if context is None else context)
    return original(x, context=context, value=value, transformer_options=transformer_options, **options)


def temporal_forward(
    temporal: Sequence[tuple[ReferenceType[TemporalAttention], float]],
    original: Callable[..., Tensor],
    x: Tensor,
    context: Any = None,
    transformer_options: Mapping[str, Any] = {},
    **options: Any,
) -> Tensor:
    """A block with temporal attention behind its feed-forward."""
    from comfy.ldm.modules.attention import optimized_attention

    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        return optimized_attention(q, k, v, heads, transformer_options=transformer_options)

    x = original(x, context=context, transformer_options=transformer_options, **options)
    frames = frames_of(x.shape[0], parts_of(transformer_options))
    return x + sum(strength * alive(layer)(x, frames, attend) for layer, strength in temporal)


def alive(layer: ReferenceType[TemporalAttention]) -> TemporalAttention:
    """The layer, which its MODEL keeps.

    Raises:
        RuntimeError: it does not any more.
    """
    found = layer()
    if found is None:
        raise RuntimeError("a network was called with the Tune-A-Video of a MODEL that is gone; load the MODEL first")
    return found


def parts_of(transformer_options: Mapping[str, Any]) -> int:
    """Prompts of a call; each has all frames in the batch.

    Raises:
        RuntimeError: the call does not say.
    """
    kinds = transformer_options.get("cond_or_uncond")
    if not kinds:
        raise RuntimeError(
            "Tune-A-Video was called without cond_or_uncond, so it cannot tell frames from prompts; "
            "sample with the host's own sampler nodes"
        )
    return len(kinds)


def frames_of(batch: int, parts: int) -> int:
    """Frames of each part.

    Raises:
        RuntimeError: the batch cannot be shared out.
    """
    if batch % parts:
        raise RuntimeError(f"Tune-A-Video got a batch of {batch} for {parts} prompts; sample one clip at a time")
    return batch // parts
