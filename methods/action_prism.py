"""The Action Prism of AICL: reference clips in, action tokens out.

B references of T latent frames, h x w latent pixels of C channels; S tokens a frame; D channels of an action token.
Source: EchoReel / AICL, arXiv 2403.11535, as far as its v1 appendix and overview figure tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .action_layers import OCTAVES, AttentionStep, frame_times, position_features
from .action_tokens import ActionTokens

RESAMPLER, FLATTENED = "resampler", "flattened"
HEADS = (RESAMPLER, FLATTENED)
FLAT_CHANNELS = 4  # a position keeps in the flattened head


MOST, MOST_LAYERS = 2**17, 512  # beyond what anybody trains: a file that says more is damaged


@dataclass(frozen=True)
class PrismSizes:
    """Sizes of a prism.

    Raises:
        ValueError: they do not go together.
    """

    channels: int  # of a reference's latents
    text: int  # channels of a caption's tokens
    width: int = 640  # channels inside
    heads: int = 8
    layers: int = 6
    head: str = RESAMPLER  # flattened: positions laid side by side as in the paper, for one size of reference only
    queries: int = 8  # action tokens a frame, of the resampler
    token: int = 1024  # D, of the resampler
    patch: int = 2  # latent pixels of a token, each way
    grid: int = 16  # most tokens of a frame each way; larger frames are averaged down, of the resampler
    size: tuple[int, int, int] | None = None  # T, h, w of every reference, of the flattened head
    still: bool = True  # False: the mean over time is taken off, which hides what does not move

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"prism head {self.head!r} is not known; use one of {', '.join(HEADS)}")
        numbers = (self.channels, self.text, self.width, self.heads, self.layers, self.queries, self.token)
        numbers = (*numbers, self.patch, self.grid, *(self.size or ()))
        if (
            any(not isinstance(number, int) or not 1 <= number <= MOST for number in numbers)
            or self.layers > MOST_LAYERS
        ):
            raise ValueError(
                f"a prism's sizes are whole numbers from 1 to {MOST}, and up to {MOST_LAYERS} layers; correct {self}"
            )
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"prism width {self.width} cannot be shared by {self.heads} heads in pairs; change one")
        if (self.head == FLATTENED) != (self.size is not None):
            raise ValueError("the flattened head needs the size of the references, the resampler takes any; correct it")
        if self.size is not None and (min(self.size) < 1 or self.size[1] % self.patch or self.size[2] % self.patch):
            raise ValueError(f"references of {self.size} latents do not divide into patches of {self.patch}; change it")

    @property
    def token_channels(self) -> int:
        """D of the action tokens."""
        if self.size is None:
            return self.token
        return self.size[1] * self.size[2] // self.patch**2 * FLAT_CHANNELS


class PrismLayer(nn.Module):
    """Attention within a frame, of a position over time, and to the caption, each with a feed-forward.

    Source: EchoReel, overview figure.
    Differs: rotary times instead of learned relative ones, so that references may have any length; the second
    temporal attention that only the authors' code has is left out.
    """

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.spatial = AttentionStep(width, heads, operations, **factory)
        self.temporal = AttentionStep(width, heads, operations, **factory)
        self.caption = AttentionStep(width, heads, operations, **factory)

    def forward(self, x: Tensor, text: Tensor, times: Tensor, mask: Tensor) -> Tensor:
        """``x [B, T, S, W]``, shape kept; ``text [B, n, W]``, ``times [T]``, ``mask [B, n]``."""
        batch, frames, positions, _ = x.shape
        x = self.spatial(rearrange(x, "b t s w -> (b t) s w"))
        x = self.temporal(rearrange(x, "(b t) s w -> (b s) t w", b=batch, t=frames), times=times[None])
        x = self.caption(rearrange(x, "(b s) t w -> b (t s) w", b=batch, s=positions), text, mask=mask)
        return rearrange(x, "b (t s) w -> b t s w", t=frames)


class ActionPrism(nn.Module):
    """References and their captions to action tokens; runs once, it does not depend on the noise level.

    Args:
        sizes: of the modules.
        operations: where ``Linear`` and ``LayerNorm`` come from; torch.nn, or what the host casts.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, sizes: PrismSizes, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        # Of the latents it was trained on, so that it takes them as the VAE gives them.
        self.register_buffer("mean", torch.zeros(sizes.channels))
        self.register_buffer("std", torch.ones(sizes.channels))
        self.embed = operations.Linear(sizes.channels * sizes.patch**2, width, **factory)
        self.embed_place = operations.Linear(4 * OCTAVES, width, **factory)
        self.embed_text = operations.Linear(sizes.text, width, **factory)
        self.layers = nn.ModuleList(
            PrismLayer(width, sizes.heads, operations, **factory) for _ in range(sizes.layers)
        )  # fmt: skip
        head = ResamplerHead if sizes.head == RESAMPLER else FlattenedHead
        self.head = head(sizes, operations, **factory)

    def forward(self, latents: Tensor, text: Tensor) -> ActionTokens:
        """Tokens of B references, each frame's with the time of that frame.

        Args:
            latents: ``[B, C, T, h, w]`` as the VAE gives them.
            text: caption tokens ``[B, n, E]``; rows of zeros are padding.

        Raises:
            ValueError: shapes other than those it was made for.
        """
        self._check(latents, text)
        x = self._tokens(latents)
        times = frame_times(latents.shape[2], latents.device)
        mask = caption_mask(text)
        text = self.embed_text(text)
        for layer in self.layers:
            x = layer(x, text, times, mask)
        tokens = self.head(x)  # B T M D
        count = tokens.shape[2]
        return ActionTokens(tokens.flatten(1, 2), times.repeat_interleave(count).expand(len(tokens), -1))

    def _tokens(self, latents: Tensor) -> Tensor:
        """``[B, C, T, h, w]`` to ``[B, T, S, W]``."""
        mean, std = (value.to(latents).view(-1, 1, 1, 1) for value in (self.mean, self.std))
        x = (latents - mean) / std
        if not self.sizes.still:
            x = x - x.mean(2, keepdim=True)
        batch, patch = len(x), self.sizes.patch
        x = rearrange(x, "b c t h w -> (b t) c h w")
        x = F.pad(x, (0, -x.shape[-1] % patch, 0, -x.shape[-2] % patch), mode="replicate")
        x = self.embed(rearrange(x, "n c (h p) (w q) -> n h w (c p q)", p=patch, q=patch))
        rows, columns = (min(side, self.sizes.grid) for side in x.shape[1:3])
        if self.sizes.size is None and (rows, columns) != tuple(x.shape[1:3]):
            x = F.adaptive_avg_pool2d(x.movedim(-1, 1), (rows, columns)).movedim(1, -1)
        x = x + self.embed_place(position_features(x.shape[1], x.shape[2], x.device).to(x))
        return rearrange(x, "(b t) h w c -> b t (h w) c", b=batch)

    def _check(self, latents: Tensor, text: Tensor) -> None:
        sizes = self.sizes
        if latents.ndim != 5 or latents.shape[1] != sizes.channels:
            raise ValueError(
                f"the reference has latents of shape {list(latents.shape)}, the adapter takes {sizes.channels} "
                "channels [B, C, T, h, w]; use the VAE of the base model it was trained on"
            )
        if text.ndim != 3 or text.shape[2] != sizes.text or len(text) != len(latents):
            raise ValueError(
                f"the caption has tokens of shape {list(text.shape)}, the adapter takes [{len(latents)}, n, "
                f"{sizes.text}]; use the text encoder of the base model it was trained on"
            )
        if sizes.size is not None and tuple(latents.shape[2:]) != tuple(sizes.size):
            raise ValueError(
                f"the reference has {list(latents.shape[2:])} latents, the adapter's flattened head takes "
                f"{list(sizes.size)} (frames, height, width); resize the reference"
            )


class ResamplerHead(nn.Module):
    """M learned queries look at the S tokens of each frame: any resolution, ``[B, T, S, W]`` to ``[B, T, M, D]``."""

    def __init__(self, sizes: PrismSizes, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(sizes.queries, sizes.width, **factory))
        self.norm = operations.LayerNorm(sizes.width, **factory)
        self.look = AttentionStep(sizes.width, sizes.heads, operations, **factory)
        self.norm_out = operations.LayerNorm(sizes.width, **factory)
        self.project = operations.Linear(sizes.width, sizes.token, **factory)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames = x.shape[:2]
        queries = self.queries.to(x).expand(batch * frames, -1, -1)
        out = self.look(queries, self.norm(x.flatten(0, 1)))
        return self.project(self.norm_out(out)).unflatten(0, (batch, frames))


class FlattenedHead(nn.Module):
    """Three layers to four channels a position, laid side by side: ``[B, T, S, W]`` to ``[B, T, 1, 4 S]``.

    Source: EchoReel, arXiv 2403.11535v1, appendix (three layers, the first widens).
    Differs: GELU between them; without, as in the authors' code, the three are one.
    """

    def __init__(self, sizes: PrismSizes, operations: Any = nn, **factory: Any) -> None:
        super().__init__()
        self.widen = operations.Linear(sizes.width, 4 * sizes.width, **factory)
        self.mix = operations.Linear(4 * sizes.width, 4 * sizes.width, **factory)
        self.narrow = operations.Linear(4 * sizes.width, FLAT_CHANNELS, **factory)

    def forward(self, x: Tensor) -> Tensor:
        out = self.narrow(F.gelu(self.mix(F.gelu(self.widen(x)))))
        return rearrange(out, "b t s c -> b t 1 (s c)")


def caption_mask(text: Tensor) -> Tensor:
    """Which tokens ``[B, n]`` of ``text [B, n, E]`` are not padding; all of them where all are zeros."""
    mask = text.ne(0).any(-1)
    return mask | ~mask.any(-1, keepdim=True)
