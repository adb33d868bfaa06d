"""Encoded clips as a trainer takes them: in the model's space, with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....training.core.batches import Conditioning
from ....training.data.dataset import Dataset
from ....training.data.encoding import EncodedDataset, EncodedSample, Recipe
from ....training.data.known_frames import FEATURES, KNOWN, UNKNOWN
from ....training.tic_ft.layout import check_channels
from ..model.families import text_width
from ..model.known_model import KnownModel
from ..model.ltx import FRAME_RATE
from ..model.vision import CLIP_VISION
from ..services.node_text import warn
from ..services.progress import encoding_progress


@dataclass(frozen=True)
class EncodedClips:
    """An encoded data set."""

    x0: list[Tensor]  # [C, T, h, w] each, in the model's space
    captions: list[Conditioning]
    unconditional: Conditioning
    samples: Sequence[EncodedSample]  # all that was encoded of each clip


def encoded_clips(model: KnownModel, encoded: EncodedDataset, recipe: Recipe, latents: str = "x0") -> EncodedClips:
    """Encode what a recipe asks for, or read it from the cache; ``latents`` names those that are learned.

    Raises:
        ValueError: the latents are of another model's VAE, or the captions of another's text encoder.
    """
    found = encoded.encode(recipe, encoding_progress(), text_width(model.model, model.base))
    rate = {FRAME_RATE: torch.tensor(float(encoded.dataset.fps))} if model.family.frame_rate else {}
    for sample in found.samples:  # those of the cache have not passed the recipe's own check
        check_channels(sample.latents[latents], model.channels)
    return EncodedClips(
        [model.in_model_space(sample.latents[latents]) for sample in found.samples],
        [{**sample.conditioning["caption"], **_given(sample), **rate} for sample in found.samples],
        {**found.unconditional, **rate},
        found.samples,
    )


def _given(sample: EncodedSample) -> Conditioning:
    """The frames that an image-to-video network is given, in the host's names; nothing for other networks."""
    names = {"concat_latent_image": KNOWN, "concat_mask": UNKNOWN, CLIP_VISION: FEATURES}
    return {theirs: sample.latents[ours] for theirs, ours in names.items() if ours in sample.latents}


def tell_other_sizes(training: Dataset, validation: Dataset) -> None:
    """Say which sizes the validation alone has: losses of another size say little about the training."""
    seen = {(bucket.width, bucket.height) for bucket in training.buckets()}
    if other := {(bucket.width, bucket.height) for bucket in validation.buckets()} - seen:
        sizes, known = (", ".join(f"{w}x{h}" for w, h in sorted(which)) for which in (other, seen))
        warn(f"the validation has clips of {sizes}, the training of {known}; use one size for both")
