"""One-shot motion in the host: encoded clips as the objectives of its two stages, in the model's space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....training.core.config import TrainConfig
from ....training.data.encoding import EncodedDataset
from ....training.motion.appearance import AppearanceObjective
from ....training.motion.objective import MotionObjective, MotionTerms
from ....training.motion.recipe import AppearanceRecipe, MotionRecipe
from ....training.tic_ft.layout import check_channels
from ..model.noise import process_of
from ..sampling.context import latent_channels
from ..services.progress import encoding_progress
from ..session.session import model_space


def appearance_objective(
    model: Any, encoded: EncodedDataset, recipe: AppearanceRecipe, config: TrainConfig, settings: Mapping[str, Any]
) -> AppearanceObjective:
    """Every single picture of every clip, encoded or read from the cache.

    Raises:
        ValueError: the latents are of another model's VAE.
    """
    found = encoded.encode(recipe, encoding_progress())
    pictures, captions = [], []
    for sample in found.samples:
        check_channels(sample.latents["pictures"], latent_channels(model))  # the cache has not passed the recipe's own
        own = model_space(model, sample.latents["pictures"]).split(1, dim=1)
        pictures += own
        captions += [sample.conditioning["caption"]] * len(own)
    return AppearanceObjective(pictures, captions, found.unconditional, config, process_of(model), settings)


def motion_objective(
    model: Any,
    encoded: EncodedDataset,
    recipe: MotionRecipe,
    config: TrainConfig,
    terms: MotionTerms,
    settings: Mapping[str, Any],
) -> MotionObjective:
    """Every clip whole, encoded or read from the cache.

    Raises:
        ValueError: the latents are of another model's VAE.
    """
    found = encoded.encode(recipe, encoding_progress())
    for sample in found.samples:
        check_channels(sample.latents["x0"], latent_channels(model))
    return MotionObjective(
        [model_space(model, sample.latents["x0"]) for sample in found.samples],
        [sample.conditioning["caption"] for sample in found.samples],
        found.unconditional,
        config,
        process_of(model),
        settings,
        terms,
        recipe.stride,
    )
