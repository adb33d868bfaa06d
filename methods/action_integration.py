"""Action Integration of AICL: what makes a frozen video network look at action tokens.

B samples, F frames of P positions and C channels in a block; L action tokens of D channels.
Source: EchoReel / AICL, arXiv 2403.11535, as far as its v1 overview figure and code tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .action_layers import Attend, Attention, attention, frame_times
from .action_tokens import ActionTokens

HEAD_CHANNELS = 64
Keys = tuple[Tensor, Tensor]  # keys and values [B, L, inner]


class ActionIntegration(nn.Module):
    """Temporal cross-attention ``W_O Attn(W_Q LN(x), W_K R, W_V R) + b_O`` of one block, added to x.

    Keys and values do not depend on the position, so every video token looks at all action tokens, and learns only how
    far apart in time they are. ``W_O`` and ``b_O`` start at zero: an untrained one adds nothing.

    Source: EchoReel, overview figure and code: behind the text's cross-attention, in front of the feed-forward.
    Differs: rotary times as shares of the clip instead of learned relative ones of at most 16 frames.
    """

    def __init__(self, channels: int, token: int, inner: int, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        heads = max(1, inner // HEAD_CHANNELS)
        self.norm = operations.LayerNorm(channels, **factory)
        self.attention = Attention(channels, heads, token, inner, operations, **factory)

    def keys_values(self, action: ActionTokens) -> Keys:
        """What a block needs of the action; it can be kept while the action stays."""
        return self.attention.keys_values(action.tokens, action.times)

    def forward(
        self,
        x: Tensor,
        keys: Keys,
        mask: Tensor | None = None,
        times: Tensor | None = None,
        attend: Attend = attention,
    ) -> Tensor:
        """What is added to ``x [B, F, P, C]``, shape kept.

        Args:
            x: the batch may hold several parts behind each other, each with all samples of the action in order.
            keys: of ``keys_values``; one sample's serve all.
            mask: ``[B, L]``, true where there is a token; a sample without any gets zeros.
            times: ``[F]``, each frame's share of the clip; evenly spread where they are not given.
            attend: what computes the attention where there is no mask.

        Raises:
            ValueError: the samples of ``x`` are no multiple of the action's.
        """
        k, v = (spread(value, len(x)) for value in keys)
        times = frame_times(x.shape[1], x.device) if times is None else times
        if mask is None:
            return self.attention(self.norm(x), k, v, times[:, None], attend=attend)
        mask = spread(mask, len(x))
        present = mask.any(1)
        out = self.attention(self.norm(x), k, v, times[:, None], mask | ~present[:, None])
        return out * present.to(out)[:, None, None, None]


class ActionIntegrations(nn.Module):
    """The integrations of all chosen blocks, by the block's name in the network.

    Args:
        blocks: channels of each.
        token: channels of an action token.
        inner: most channels of the attention; narrower blocks take their own.
    """

    def __init__(self, blocks: Mapping[str, int], token: int, inner: int, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ActionIntegration(channels, token, inner_channels(channels, inner), operations, **factory)
            for channels in blocks.values()
        )
        self.numbers = {name: number for number, name in enumerate(blocks)}

    def __getitem__(self, name: str) -> Any:
        return self.blocks[self.numbers[name]]

    def __contains__(self, name: str) -> bool:
        return name in self.numbers


def inner_channels(channels: int, most: int) -> int:
    """Channels of the attention in a block: ``most`` or the block's own, in whole heads, or one even head."""
    inner = min(channels, most)
    return inner // HEAD_CHANNELS * HEAD_CHANNELS if inner >= HEAD_CHANNELS else inner // 2 * 2


def spread(value: Tensor, batch: int) -> Tensor:
    """``value [S, ...]`` for a batch of parts that hold all S samples each, one part behind another.

    Raises:
        ValueError: the batch cannot be shared out so.
    """
    samples = len(value)
    if samples == 1:
        return value.expand(batch, *value.shape[1:])
    if batch % samples:
        raise ValueError(f"a batch of {batch} cannot be shared by the actions of {samples} samples; sample {samples}")
    return value.repeat(batch // samples, *[1] * (value.ndim - 1))
