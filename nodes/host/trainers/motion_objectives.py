"""One-shot motion in the host: encoded clips as the objectives of its two stages, in the model's space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ....training.core.config import TrainConfig
from ....training.data.encoding import EncodedDataset
from ....training.motion.appearance import AppearanceObjective
from ....training.motion.objective import MotionObjective, MotionTerms
from ....training.motion.recipe import AppearanceRecipe, MotionRecipe
from ....training.storage.lazy import Lazy, shapes_of
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
    shapes = shapes_of(clips.x0)
    places = [(i, frame) for i, shape in enumerate(shapes) for frame in range(shape[1])]  # clip and picture
    alone = [torch.Size((shapes[i][0], 1, *shapes[i][2:])) for i, _ in places]
    return AppearanceObjective(
        Lazy(len(places), lambda n: clips.x0[places[n][0]][:, places[n][1] : places[n][1] + 1], alone),
        Lazy(len(places), lambda n: clips.captions[places[n][0]]),
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
