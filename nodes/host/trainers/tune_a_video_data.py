"""What Tune-A-Video trains on in the host: encoded frames in the model's space, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....training.core.config import TrainConfig
from ....training.data.dataset import Dataset
from ....training.data.encoding import EncodedDataset, former_clips
from ....training.tune_a_video.objective import Clips, Prior, TuneAVideoObjective
from ....training.tune_a_video.recipe import ClipRecipe, FrameWindow
from ..model.image_model import ImageModel
from ..session.clip import Form
from .clips import encoded_clips


def make_objective(
    image: ImageModel,
    encoded: EncodedDataset,
    recipe: ClipRecipe,
    config: TrainConfig,
    prior: EncodedDataset | None = None,
    prior_weight: float = 1.0,
    settings: Mapping[str, Any] | None = None,
) -> TuneAVideoObjective:
    """Encode the frames (or read them from the cache) and bring them into the model's space."""
    clips, unconditional = _clips(image, encoded, recipe)
    also = None if prior is None else Prior(_clips(image, prior, _prior_recipe(recipe))[0], prior_weight)
    return TuneAVideoObjective(clips, unconditional, image.process, config, recipe.window, also, settings or {})


def _clips(image: ImageModel, encoded: EncodedDataset, recipe: ClipRecipe) -> tuple[Clips, Any]:
    """The clips of a data set, and the empty caption."""
    found = encoded_clips(image, encoded, recipe)
    return Clips(found.x0, found.captions), found.unconditional


def _prior_recipe(recipe: ClipRecipe) -> ClipRecipe:
    """The prior's clips are seen from their first frame on, and may be single images."""
    return replace(recipe, window=replace(recipe.window, start=0), shorter=True)


def settings_of(data: Dataset, form: Form, window: FrameWindow, prior_weight: float) -> dict[str, Any]:
    """What the file says of how it was tuned."""
    return {
        "captions": [sample.caption for sample in data.samples],
        "frames": window.frames,
        "stride": window.stride,
        "start": window.start,
        "window": window.kind,
        "query_rank": form.rank,
        "group_norms": form.group_norms,
        "sparse_causal": form.sparse_causal,
        "prior_weight": prior_weight,
        "width": data.width,
        "height": data.height,
        "fps": data.fps,
    }


def identity_of(
    image: ImageModel,
    settings: dict[str, Any],
    encoded: EncodedDataset,
    prior: EncodedDataset | None,
    recipe: ClipRecipe,
) -> dict[str, Any]:
    """What is tuned and on what: plain values that can be shown, and digests of the data."""
    return {
        **settings,
        "base": image.base,
        "training clips": encoded.key(recipe),
        "prior clips": "" if prior is None else prior.key(_prior_recipe(recipe)),
        "noise process": image.process.digest,
    }


def former_of(encoded: EncodedDataset, prior: EncodedDataset | None, recipe: ClipRecipe) -> dict[str, str]:
    """What older versions called the clips in that identity."""
    found = former_clips(recipe, encoded)
    return found if prior is None else {**found, "prior clips": prior.former_key(_prior_recipe(recipe))}
