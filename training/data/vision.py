"""CLIP features of the frames that an image-to-video network is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .known_frames import FEATURES, KNOWN, KnownFrames


@dataclass(frozen=True)
class VisionEncoder:
    """A CLIP vision model, as image-to-video networks want it beside the VAE."""

    encode: Callable[[Tensor], Tensor]  # pixels [N, H, W, 3] in [0, 1] -> features [N tokens, D]
    channels: int  # D
    key: str  # identity of its weights
    patcher: Any = None  # what the host unloads, if it is the host's

    def check(self, channels: int) -> None:
        """Refuse a model with features of another kind than the network takes.

        Raises:
            ValueError: D is not ``channels``.
        """
        if self.channels != channels:
            raise ValueError(
                f"the CLIP vision model gives {self.channels} channels a token, the network takes {channels}; load the "
                "one that belongs to the model (CLIP ViT-H for Wan 2.1)"
            )

    def features(self, recipe: Any, clips: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features of the frames that a recipe says are given, by their name; of other recipes none."""
        known: KnownFrames | None = getattr(recipe, "known", None)
        return {FEATURES: self.encode(known.pictures(clips[KNOWN]))} if known and known.vision else {}


def features_of(recipe: Any) -> int:
    """Channels of the CLIP features that the recipe's network takes; 0: none."""
    known: KnownFrames | None = getattr(recipe, "known", None)
    return known.vision if known else 0


def check_vision(vision: VisionEncoder | None, recipe: Any) -> None:
    """Refuse a missing CLIP vision model, or one whose features the recipe's network does not take.

    Raises:
        ValueError: there is none, or it has other channels.
    """
    channels = features_of(recipe)
    if channels and vision is None:
        raise ValueError(
            "the model takes CLIP features of the first frame besides its latents; connect clip_vision of Encode "
            "Dataset (CLIP ViT-H for Wan 2.1)"
        )
    if channels and vision is not None:
        vision.check(channels)
