"""Where latents lie that are only every so many-th of a clip: their tokens get the positions they had in the whole.

All families but Wan: the network's own method computes the positions of the whole clip, and those of the latents that
are there are kept. Wan takes them from the host's RoPE options.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .forwards import wrap_method

WAN = "rope_encode"  # the host's method, which takes ``scale_t``


def stretched(model: Any, method: str, stride: int) -> Any:
    """A clone whose latents lie ``stride`` latents apart in time, counted from the first that is there.

    Args:
        method: Of the network, as its family names it.

    Source: Follow-Your-Motion, arXiv 2506.05207, for the positions of sparse frames.
    """
    if stride == 1:
        return model
    clone = model.clone()
    if method == WAN:
        options = clone.model_options.setdefault("transformer_options", {})
        rope = options.get("rope_options") or {}
        options["rope_options"] = {**rope, "scale_t": rope.get("scale_t", 1.0) * stride}
    else:
        wrap_method(clone, method, partial(METHODS[method], stride))
    return clone


def _coordinates(stride: int, own: Callable[..., Tensor], frames: int, *more: Any) -> Tensor:
    """LTX: first and last corner of each token, ``[B, 3, T h w, 2]``; the first latent is one frame, the others 8."""
    return _kept(own(_whole(frames, stride), *more), 2, frames, stride)


def _ids(stride: int, own: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """HunyuanVideo: ids of the tokens of ``x [B, C, T, h, w]``, ``[B, T h w, 3]``."""
    frames = x.shape[2]
    return _kept(own(x[:, :, :1].expand(-1, -1, _whole(frames, stride), -1, -1)), 1, frames, stride)


def _turns(stride: int, own: Callable[..., Tensor], frames: int, *more: Any, **options: Any) -> Tensor:
    """Kandinsky 5: matrices that turn each token, ``[1, T h w, 1, channels, 2, 2]``."""
    return _kept(own(_whole(frames, stride), *more, **options), 1, frames, stride)


def _rotary(
    stride: int, own: Callable[..., tuple[Tensor, ...]], height: int, width: int, frames: int, **options: Any
) -> tuple[Tensor, ...]:
    """CogVideoX 5B: cosines and sines of each token, both ``[T h w, channels]``."""
    whole = own(height, width, _whole(frames, stride), **options)
    return tuple(_kept(part, 0, frames, stride) for part in whole)


def _embeddings(stride: int, own: Callable[[Tensor, Tensor], Tensor], text: Tensor, video: Tensor) -> Tensor:
    """CogVideoX 2B, which adds them: tokens ``[B, N + T h w, channels]`` of text and latents ``[B, T, C, h, w]``."""
    frames = video.shape[1]
    whole = video.repeat_interleave(stride, dim=1)[:, : _whole(frames, stride)]  # each latent where it was
    tokens = own(text, whole)
    head, rest = tokens.split([text.shape[1], tokens.shape[1] - text.shape[1]], dim=1)
    return torch.cat([head, _kept(rest, 1, frames, stride)], dim=1)


def _whole(frames: int, stride: int) -> int:
    """Latents from the first that is there to the last."""
    return (frames - 1) * stride + 1


def _kept(tokens: Tensor, dim: int, frames: int, stride: int) -> Tensor:
    """Of the tokens of all latents, along ``dim``, those of every ``stride``-th."""
    found = tokens.unflatten(dim, (_whole(frames, stride), -1)).transpose(0, dim)[::stride].transpose(0, dim)
    return found.flatten(dim, dim + 1)


METHODS: dict[str, Callable[..., Any]] = {
    "patchifier.get_latent_coords": _coordinates,
    "img_ids": _ids,
    "rope_encode_3d": _turns,
    "_get_rotary_emb": _rotary,
    "patch_embed.forward": _embeddings,
}
