"""What an image-to-video network takes of the frames that are given: their latents, a mask, and CLIP features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

KNOWN, UNKNOWN = "known", "unknown"  # names of latents: what is given, and a mask that is 1 where nothing is
FEATURES = "features"  # name of the CLIP features, [N, D]
GREY = 0.5  # of pixels that are not given


@dataclass(frozen=True)
class KnownFrames:
    """The further inputs of an image-to-video network. The same rule fills them in training and in sampling.

    Source: ``image2video.py`` and ``first_last_frame2video.py`` of Wan-Video/Wan2.1.
    """

    vision: int = 0  # channels of the CLIP features that its cross-attention takes; 0: none
    pair: bool = False  # whether these are of the first and of the last frame
    last: bool = False  # whether the last frame is given, too

    @property
    def key(self) -> str:
        """Everything that changes what is encoded."""
        return f" known{' features' * bool(self.vision)}{' of a pair' * self.pair}{' last' * self.last}"

    @property
    def leading(self) -> KnownFrames:
        """The same without a last frame, for a sequence whose last frame is to be made."""
        return replace(self, last=False)

    def clip(self, frames: Tensor, latents: int, compression: int) -> Tensor:
        """A clip ``[T, H, W, 3]`` in [0, 1] whose first so many latents are given, and grey from there on."""
        given = 1 + compression * (latents - 1) if latents else 0
        clip = torch.cat([frames[:given], torch.full_like(frames[given:], GREY)])
        return torch.cat([clip[:-1], frames[-1:]]) if self.last else clip

    def pictures(self, clip: Tensor) -> Tensor:
        """Frames of ``clip(...)`` whose CLIP features are given, ``[1 or 2, H, W, 3]``; grey where none is."""
        return clip[[0, -1]] if self.pair else clip[:1]

    def inputs(self, x0: Tensor, encoded: dict[str, Tensor], latents: int) -> dict[str, Tensor]:
        """Latents of what is given ``[C, T, h, w]``, the mask ``[1 or 4, T, h, w]``, 1: not given, and the features.

        The given latents are the very ones that the network is shown in the sequence. Of a last frame the mask has a
        channel for each frame of a latent.

        Args:
            x0: Latents of the whole clip.
            encoded: Latents of ``clip(...)`` and features of ``pictures(...)`` by their names.
            latents: How many are given.
        """
        known = torch.cat([x0[:, :latents], encoded[KNOWN][:, latents:]], dim=1)
        unknown = torch.ones_like(known[:1].expand(4, -1, -1, -1) if self.last else known[:1])
        unknown[:, :latents] = 0.0
        if self.last:
            unknown[-1, -1] = 0.0
        return {KNOWN: known, UNKNOWN: unknown, **({FEATURES: encoded[FEATURES]} if self.vision else {})}
