"""Tune-A-Video: an image network made to see the frames of a clip, and what is tuned in it on that clip.

Frames lie in the batch of the image network: P parts (one a prompt of the call) of F frames, N tokens of D channels.
Source: Wu et al., arXiv 2212.11565, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

PER_FRAME, POOLED = "per frame", "pooled over frames"
GROUP_NORMS = (PER_FRAME, POOLED)
TUNED_QUERIES = ("attn1.to_q", "attn2.to_q")  # of a block: self-attention and cross-attention

Attend = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # q, k, v [B, L, D], heads -> [B, L, D]


def sparse_causal(tokens: Tensor) -> Tensor:
    """Tokens a frame takes its keys and values from: ``[z_0, z_(i-1)]`` for frame i, ``[z_0, z_0]`` for frame 0.

    Args:
        tokens: ``[P, F, ..., N, D]``.

    Returns:
        Tokens ``[P, F, ..., 2 N, D]``, for ``K = W_K [z_0, z_(i-1)]`` and ``V = W_V [z_0, z_(i-1)]``.

    Source: arXiv 2212.11565, equations 3 to 5.
    """
    first = tokens[:, :1]
    before = torch.cat([first, tokens[:, :-1]], dim=1)
    return torch.cat([first.expand_as(tokens), before], dim=-2)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v`` in ``heads`` heads; ``[B, L, D]`` each."""
    q, k, v = (rearrange(x, "b l (h d) -> b h l d", h=heads) for x in (q, k, v))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b h l d -> b l (h d)")


class TemporalAttention(nn.Module):
    """Attention of each position over all frames, added behind the feed-forward: ``x + W_O Attn(LN(x)) + b_O``.

    Weights are fp32 and are cast to the input's type at each call. ``to_out`` starts at zero, so an untrained layer
    adds exactly nothing; the norm has no weights.

    Source: arXiv 2212.11565, section 3.2; its norm is never trained, see ``attn_temp`` in ``showlab/Tune-A-Video``.
    Differs: there the bias of ``to_out`` starts at random, so that an untrained model is not quite the image model.
    """

    def __init__(self, channels: int, heads: int, generator: torch.Generator | None = None) -> None:
        """Random q, k and v, uniform in +-1/sqrt(channels) as torch's own linear layers are."""
        super().__init__()
        bound = 1.0 / math.sqrt(channels)
        self.heads = heads

        def random() -> nn.Parameter:
            return nn.Parameter((torch.rand(channels, channels, generator=generator) * 2 - 1) * bound)

        self.to_q, self.to_k, self.to_v = random(), random(), random()
        self.to_out = nn.Parameter(torch.zeros(channels, channels))
        self.to_out_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, frames: int, attend: Attend = attention) -> Tensor:
        """What is added to ``x [P F, N, D]``; ``attend`` is what computes the attention itself."""
        tokens = rearrange(x, "(p f) n d -> (p n) f d", f=frames)
        tokens = F.layer_norm(tokens, tokens.shape[-1:])
        q, k, v = (F.linear(tokens, weight.to(x)) for weight in (self.to_q, self.to_k, self.to_v))
        out = F.linear(attend(q, k, v, self.heads), self.to_out.to(x), self.to_out_bias.to(x))
        return rearrange(out, "(p n) f d -> (p f) n d", n=x.shape[1])


class TemporalLayers(nn.Module):
    """The temporal attention of each block, by the block's name.

    Args:
        shapes: channels and heads of each block.
        seed: a layer's start depends on it and on the layer's position, not on how many others there are.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], seed: int = 0) -> None:
        super().__init__()
        seeds = torch.Generator().manual_seed(seed)
        self.by_name: dict[str, TemporalAttention] = {}
        for name, (channels, heads) in shapes.items():
            own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=seeds)))
            self.by_name[name] = TemporalAttention(channels, heads, own)
        self.layers = nn.ModuleList(self.by_name.values())

    def tensors(self) -> dict[str, Tensor]:
        """A copy as ``<block>.<weight>``, fp32 on the CPU."""
        return {name: value.detach().to("cpu", torch.float32, copy=True) for name, value in self.weights().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> TemporalLayers:
        """Take the weights that ``tensors`` gave.

        Raises:
            ValueError: they are of other blocks or of another size.
        """
        own = self.weights()
        wrong = sorted(key for key in own.keys() | tensors.keys() if shape_of(own, key) != shape_of(tensors, key))
        if wrong:
            raise ValueError(
                f"temporal weight {wrong[0]} has shape {shape_of(tensors, wrong[0])}, the network needs "
                f"{shape_of(own, wrong[0])}; take the base model it was tuned on"
            )
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(tensors[key])
        return self

    def weights(self) -> dict[str, Tensor]:
        """Every weight by its name in a file."""
        layers = self.by_name.items()
        return {f"{name}.{key}": value for name, layer in layers for key, value in layer.named_parameters()}


def shape_of(tensors: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    """Shape of a tensor, None where there is none of that name."""
    return tuple(tensors[key].shape) if key in tensors else None


@dataclass(frozen=True)
class Tuned:
    """What tuning on one clip gives: all that was trained, and what it was trained with.

    Raises:
        ValueError: the group norms are of no known kind.
    """

    base: str  # the family and prediction it was tuned on; empty: it does not say
    temporal: Mapping[str, Tensor] = field(default_factory=dict)  # of ``TemporalLayers.tensors``
    queries: Mapping[str, Tensor] = field(default_factory=dict)  # added to a layer's weight, by its name, [out, in]
    group_norms: str = PER_FRAME
    sparse_causal: bool = True  # else each frame sees itself alone, as in the image model
    whole: bool = False  # whether the queries are the layers' weights themselves, and not what is added to them
    text_width: int | None = None  # channels of the texts it was tuned with, where the file tells no base

    def __post_init__(self) -> None:
        if self.group_norms not in GROUP_NORMS:
            raise ValueError(f"group norms {self.group_norms!r} are not known; use one of {', '.join(GROUP_NORMS)}")


def pooled_over_frames(norm: Callable[[Tensor], Tensor], x: Tensor, frames: int) -> Tensor:
    """A group norm whose statistics are those of a whole clip; ``x [P F, C, H, W]``, shape kept.

    The network's own norm takes them of each frame alone, which is what its weights were trained with.

    Source: ``ResnetBlock3D`` of ``showlab/Tune-A-Video``, which norms ``[P, C, F, H, W]``.
    """
    clip = rearrange(x, "(p f) c h w -> p c (f h) w", f=frames)
    return rearrange(norm(clip), "p c (f h) w -> (p f) c h w", f=frames)
