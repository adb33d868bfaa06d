"""One-shot motion in the host: encoded clips as the objectives of its two stages, in the model's space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....training.core.config import TrainConfig
from ....training.data.encoding import EncodedDataset
from ....training.motion.appearance import AppearanceObjective
from ....training.motion.objective import MotionObjective, MotionTerms
from ....training.motion.recipe import AppearanceRecipe, MotionRecipe
from ..model.video_model import VideoModel
from .clips import encoded_clips


def appearance_objective(
    video: VideoModel,
    encoded: EncodedDataset,
    recipe: AppearanceRecipe,
    config: TrainConfig,
    settings: Mapping[str, Any],
) -> AppearanceObjective:
    """Every single picture of every clip, encoded or read from the cache.

    Raises:
        ValueError: the latents are of another model's VAE.
    """
    clips = encoded_clips(video, encoded, recipe, "pictures")
    pictures = [(picture, i) for i, clip in enumerate(clips.x0) for picture in clip.split(1, dim=1)]
    return AppearanceObjective(
        [picture for picture, _ in pictures],
        [clips.captions[i] for _, i in pictures],
        clips.unconditional,
        config,
        video.process,
        settings,
    )


def motion_objective(
    video: VideoModel,
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
    clips = encoded_clips(video, encoded, recipe)
    return MotionObjective(
        clips.x0, clips.captions, clips.unconditional, config, video.process, settings, terms, recipe.stride
    )
