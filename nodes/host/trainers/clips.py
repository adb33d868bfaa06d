"""Encoded clips as a trainer takes them: in the model's space, with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ....training.core.batches import Conditioning
from ....training.data.dataset import Dataset
from ....training.data.encoded_set import EncodedSet
from ....training.data.encoding import EncodedDataset, Recipe
from ....training.data.known_frames import FEATURES, KNOWN, UNKNOWN
from ....training.storage.lazy import Lazy
from ....training.tic_ft.layout import check_channels
from ..model.families import text_width
from ..model.known_model import KnownModel
from ..model.ltx import FRAME_RATE
from ..model.vision import CLIP_VISION
from ..services.node_text import warn
from ..services.progress import encoding_progress

WAITING = 16  # clips of a step whose frames wait for it; those of a larger step are read again


@dataclass(frozen=True)
class EncodedClips:
    """An encoded data set; its sequences are read from the cache item by item."""

    x0: Lazy[Tensor]  # [C, T, h, w] each, in the model's space
    captions: Lazy[Conditioning]
    unconditional: Conditioning
    whole: EncodedSet  # all that was encoded of each clip


def encoded_clips(model: KnownModel, encoded: EncodedDataset, recipe: Recipe, latents: str = "x0") -> EncodedClips:
    """Encode what a recipe asks for, or find it in the cache; ``latents`` names those that are learned.

    Raises:
        ValueError: the latents are of another model's VAE, or the captions of another's text encoder.
    """
    found = encoded.encode(recipe, encoding_progress(), text_width(model.model, model.base))
    rate = {FRAME_RATE: torch.tensor(float(encoded.dataset.fps))} if model.family.frame_rate else {}
    shapes = found.shapes(latents)
    for shape in {*shapes}:  # those of the cache have not passed the recipe's own check
        check_channels(torch.empty(shape, device="meta"), model.channels)
    clips = _Clips(found, latents)
    return EncodedClips(
        Lazy(len(found), lambda i: model.in_model_space(clips.learned(i)), shapes),
        Lazy(len(found), lambda i: {**found.caption(i, "caption"), **clips.given(i), **rate}),
        {**found.unconditional, **rate},
        found,
    )


class _Clips:
    """Clips whose entry is read once for a step: for what is learned, and with it what the network is given."""

    NAMES: ClassVar = {KNOWN: "concat_latent_image", UNKNOWN: "concat_mask", FEATURES: CLIP_VISION}  # the host's

    def __init__(self, found: EncodedSet, latents: str) -> None:
        """``latents`` names those that are learned."""
        self.found, self.latents = found, latents
        self._waiting: dict[int, Conditioning] = {}  # read with what is learned, and not asked for yet

    def learned(self, i: int) -> Tensor:
        """Latents in VAE space."""
        names = self._names(i)
        read = self.found.latents(i, self.latents, *names)
        if names:
            self._waiting[i] = {self.NAMES[name]: read[name] for name in names}
            if len(self._waiting) > WAITING:
                del self._waiting[next(iter(self._waiting))]
        return read[self.latents]

    def given(self, i: int) -> Conditioning:
        """The frames that an image-to-video network is given, in the host's names; nothing for other networks."""
        if i in self._waiting:
            return self._waiting.pop(i)
        names = self._names(i)
        return {self.NAMES[name]: value for name, value in self.found.latents(i, *names).items()} if names else {}

    def _names(self, i: int) -> list[str]:
        return [name for name in self.found.names(i) if name in self.NAMES]


def tell_other_sizes(training: Dataset, validation: Dataset) -> None:
    """Say which sizes the validation alone has: losses of another size say little about the training."""
    seen = {(bucket.width, bucket.height) for bucket in training.buckets()}
    if other := {(bucket.width, bucket.height) for bucket in validation.buckets()} - seen:
        sizes, known = (", ".join(f"{w}x{h}" for w, h in sorted(which)) for which in (other, seen))
        warn(f"the validation has clips of {sizes}, the training of {known}; use one size for both")
