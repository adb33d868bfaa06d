"""What AICL's modules are made of: attention, feed-forward, and the encodings of time and position.

B samples, T frames, S positions of a frame, L tokens, D channels in h heads of d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # q, k, v [B, L, D], heads -> [B, L, D]

TURNS = 16.0  # radians by which the fastest channel turns over a clip
SLOWEST = 100.0  # times slower is the slowest
OCTAVES = 6  # of the position encoding


def frame_times(frames: int, device: Any = None) -> Tensor:
    """Middle of each frame as a share of its clip, ``(f + 1/2) / T`` in (0, 1), ``[T]``.

    So clips of any length are laid over each other, and one frame alone stands in the middle.
    """
    return (torch.arange(frames, device=device, dtype=torch.float32) + 0.5) / frames


def clip_times(frames: int, before: int = 0) -> Tensor:
    """As ``frame_times``, of a clip with ``before`` frames in front of it; those stand at its start, 0."""
    return ((torch.arange(frames, dtype=torch.float32) - before + 0.5) / max(1, frames - before)).clamp(min=0.0)


def grouped_times(times: Tensor, patch: int) -> Tensor:
    """Mean times of each ``patch`` frames, ``[ceil(T / patch)]``; the last group may be smaller."""
    return times if patch == 1 else F.avg_pool1d(times[None, None], patch, ceil_mode=True)[0, 0]


def time_angles(times: Tensor, channels: int) -> Tensor:
    """Angles by which pairs of channels turn at a time: ``16 t / 100^(2 i / d)``, ``[..., d / 2]`` for ``times [...]``.

    Source: rotary positions, Su et al., arXiv 2104.09864, section 3.2.
    Differs: time is a share of the clip, so the turns are fewer and do not depend on the clip's length.
    """
    share = torch.arange(channels // 2, device=times.device, dtype=torch.float32) * (2.0 / channels)
    return times.float()[..., None] * (TURNS / SLOWEST**share)


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """``x [..., h, d]`` with channels i and i + d / 2 turned by angle i; ``angles`` broadcast to ``[..., h, d / 2]``.

    Attention of turned queries to turned keys knows the difference of their times only.
    """
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    first, second = x.chunk(2, dim=-1)
    turned_first = torch.addcmul(first * cos, second, sin, value=-1)
    return torch.cat([turned_first, torch.addcmul(second * cos, first, sin)], dim=-1)


def position_features(height: int, width: int, device: Any = None) -> Tensor:
    """Sines and cosines of each position in a grid of any size, ``[height, width, 24]``: ``sin, cos (2^k pi u)``.

    ``u`` in (0, 1) is the row, then the column, as a share of the picture; k = 0 to 5.
    """
    rows, columns = frame_times(height, device), frame_times(width, device)
    octaves = torch.pi * 2.0 ** torch.arange(OCTAVES, device=device)
    angles = torch.cat(
        [
            (rows[:, None, None] * octaves).expand(height, width, -1),
            (columns[None, :, None] * octaves).expand(height, width, -1),
        ],
        dim=-1,
    )
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v`` in ``heads`` heads; ``[B, L, D]`` each, ``mask [B, keys]`` true where to look."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # B L (h d) -> B h L d
    seen = None if mask is None else mask[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """``W_O softmax(W_Q x (W_K c)^T / sqrt(d)) W_V c + b_O``.

    Args:
        channels: of ``x`` and of the result.
        heads: count.
        context: channels of ``c``; those of ``x`` where it is not given.
        inner: channels of all heads; those of ``x`` where it is not given.
        operations: where ``Linear`` and ``LayerNorm`` come from; torch.nn, or what the host casts.
    """

    def __init__(
        self, channels: int, heads: int, context: int = 0, inner: int = 0, operations: Any = nn, **factory: Any
    ) -> None:
        super().__init__()
        context, inner = context or channels, inner or channels
        if inner % heads or (inner // heads) % 2:
            raise ValueError(f"{inner} channels cannot be shared by {heads} heads in pairs; choose other numbers")
        self.heads, self.head_channels = heads, inner // heads
        self.to_q = operations.Linear(channels, inner, bias=False, **factory)
        self.to_k = operations.Linear(context, inner, bias=False, **factory)
        self.to_v = operations.Linear(context, inner, bias=False, **factory)
        self.to_out = operations.Linear(inner, channels, **factory)

    def keys_values(self, context: Tensor, times: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values ``[B, L, D]`` of ``context [B, L, C]``; ``times [B or 1, L]`` turn the keys."""
        keys = self.to_k(context)
        return keys if times is None else self._at(keys, times), self.to_v(context)

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        times: Tensor | None = None,
        mask: Tensor | None = None,
        attend: Attend = attention,
    ) -> Tensor:
        """Attention of ``x [B, ..., C]``, shape kept; ``times`` broadcast to ``[B, ...]`` turn the queries."""
        q = self.to_q(x)
        q = q if times is None else self._at(q, times)
        flat = q.flatten(1, -2)
        if mask is None:
            out = attend(flat, keys, values, self.heads)
        else:
            out = attention(flat, keys, values, self.heads, mask)
        return self.to_out(out.view(q.shape))

    def _at(self, x: Tensor, times: Tensor) -> Tensor:
        angles = time_angles(times, self.head_channels)[..., None, :]
        return turned(x.unflatten(-1, (self.heads, -1)), angles).flatten(-2)


class FeedForward(nn.Module):
    """``W_2 (a * gelu(b))`` with ``[a, b] = W_1 x``, four times as wide inside.

    Source: GEGLU, Shazeer, arXiv 2002.05202, equation 6.
    """

    def __init__(self, channels: int, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.widen = operations.Linear(channels, 8 * channels, **factory)
        self.narrow = operations.Linear(4 * channels, channels, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """``x [..., C]``, shape kept."""
        value, gate = self.widen(x).chunk(2, dim=-1)
        return self.narrow(value * F.gelu(gate))


class AttentionStep(nn.Module):
    """Attention and feed-forward, both behind a norm and added: ``x + Attn(LN(x), c)``, then ``x + FF(LN(x))``."""

    def __init__(self, channels: int, heads: int, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.norm = operations.LayerNorm(channels, **factory)
        self.attention = Attention(channels, heads, operations=operations, **factory)
        self.norm_2 = operations.LayerNorm(channels, **factory)
        self.feed_forward = FeedForward(channels, operations, **factory)

    def forward(
        self, x: Tensor, context: Tensor | None = None, times: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """``x [B, L, C]``, shape kept; ``context [B, n, C]``, without it tokens look at each other."""
        tokens = self.norm(x)
        keys, values = self.attention.keys_values(tokens if context is None else context, times)
        x = x + self.attention(tokens, keys, values, times, mask)
        return x + self.feed_forward(self.norm_2(x))
