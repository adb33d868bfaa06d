"""Action tokens: what an Action Prism makes of reference clips, and how several are put together.

B samples, L tokens of all their references, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ActionTokens:
    """Tokens of the references that each sample reads.

    Raises:
        ValueError: the shapes do not belong together.
    """

    tokens: Tensor  # [B, L, D]
    times: Tensor  # [B, L], each token's frame as a share of its own clip, in (0, 1)
    mask: Tensor | None = None  # [B, L], true where there is a token; None: everywhere

    def __post_init__(self) -> None:
        own = list(self.tokens.shape[:2])
        shapes = [list(self.times.shape), own if self.mask is None else list(self.mask.shape)]
        if self.tokens.ndim != 3 or shapes != [own, own]:
            raise ValueError(
                f"action tokens of shape {list(self.tokens.shape)} came with times of {shapes[0]} and a mask of "
                f"{shapes[1]}; give tokens [B, L, D] and the others [B, L]"
            )

    def to(self, like: Tensor) -> ActionTokens:
        """On the device and in the type of ``like``; times stay fp32."""
        mask = None if self.mask is None else self.mask.to(like.device)
        return ActionTokens(self.tokens.to(like), self.times.to(like.device), mask)


def joined(references: Sequence[ActionTokens]) -> ActionTokens:
    """The tokens of several references of the same samples, one behind another.

    Each keeps its own time code, which starts anew, and nothing tells which came first: attention to them all does
    not depend on their order.

    Source: EchoReel, arXiv 2403.11535v1, overview figure (``R_T^1 ... R_T^N`` are concatenated).
    Differs: the authors' code reads one reference only.

    Raises:
        ValueError: there is none, or they are of other samples or widths.
    """
    shapes = {(len(one.tokens), one.tokens.shape[2]) for one in references}
    if len(shapes) != 1:
        raise ValueError(f"references of samples and channels {sorted(shapes)} cannot be joined; give one kind of them")
    masks = [torch.ones_like(one.times, dtype=torch.bool) if one.mask is None else one.mask for one in references]
    masked = any(one.mask is not None for one in references)
    return ActionTokens(
        torch.cat([one.tokens for one in references], dim=1),
        torch.cat([one.times for one in references], dim=1),
        torch.cat(masks, dim=1) if masked else None,
    )


def stacked(samples: Sequence[ActionTokens | None], channels: int) -> ActionTokens:
    """A batch of samples with other numbers of references each; None for a sample that has none.

    Args:
        samples: tokens of one sample each, ``[1, L, D]``.
        channels: D.
    """
    longest = max((one.tokens.shape[1] for one in samples if one is not None), default=1)
    like = next((one.tokens for one in samples if one is not None), torch.zeros(1, 1, channels))
    tokens, times, masks = [], [], []
    for one in samples:
        length = 0 if one is None else one.tokens.shape[1]
        present = torch.arange(longest, device=like.device)[None] < length
        tokens.append(like.new_zeros(1, longest, channels) if one is None else _padded(one.tokens, longest))
        times.append(torch.full((1, longest), 0.5, device=like.device) if one is None else _padded_times(one, longest))
        masks.append(present if one is None or one.mask is None else F.pad(one.mask, (0, longest - length)))
    return ActionTokens(torch.cat(tokens), torch.cat(times), torch.cat(masks))


def _padded(tokens: Tensor, length: int) -> Tensor:
    return F.pad(tokens, (0, 0, 0, length - tokens.shape[1]))


def _padded_times(one: ActionTokens, length: int) -> Tensor:
    return F.pad(one.times, (0, length - one.times.shape[1]), value=0.5)
