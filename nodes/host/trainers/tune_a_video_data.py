"""What Tune-A-Video trains on in the host: encoded frames in the model's space, and what tells them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....training.core.config import TrainConfig
from ....training.data.dataset import Dataset
from ....training.data.encoding import EncodedDataset
from ....training.tic_ft.layout import check_channels
from ....training.tune_a_video.objective import Clips, Prior, TuneAVideoObjective
from ....training.tune_a_video.recipe import ClipRecipe, Window
from ..sampling.context import latent_channels
from ..services.progress import encoding_progress
from ..session.clip import Form, process_of_images
from ..session.session import model_space
from ..tune_a_video.inflation import base_of


def make_objective(
    model: Any,
    encoded: EncodedDataset,
    recipe: ClipRecipe,
    config: TrainConfig,
    prior: EncodedDataset | None = None,
    prior_weight: float = 1.0,
    settings: Mapping[str, Any] | None = None,
) -> TuneAVideoObjective:
    """Encode the frames (or read them from the cache) and bring them into the model's space."""
    clips, unconditional = _clips(model, encoded, recipe)
    also = None if prior is None else Prior(_clips(model, prior, _prior_recipe(recipe))[0], prior_weight)
    return TuneAVideoObjective(
        clips, unconditional, process_of_images(model), config, recipe.window, also, settings or {}
    )


def _clips(model: Any, encoded: EncodedDataset, recipe: ClipRecipe) -> tuple[Clips, Any]:
    """The clips of a data set, and the empty caption."""
    found = encoded.encode(recipe, encoding_progress())
    for sample in found.samples:  # those of the cache have not passed the recipe's own check
        check_channels(sample.latents["x0"], latent_channels(model))
    latents = [model_space(model, sample.latents["x0"]) for sample in found.samples]
    return Clips(latents, [sample.conditioning["caption"] for sample in found.samples]), found.unconditional


def _prior_recipe(recipe: ClipRecipe) -> ClipRecipe:
    """The prior's clips are seen from their first frame on, and may be single images."""
    return replace(recipe, window=replace(recipe.window, start=0), shorter=True)


def settings_of(data: Dataset, form: Form, window: Window, prior_weight: float) -> dict[str, Any]:
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
    model: Any, settings: dict[str, Any], encoded: EncodedDataset, prior: EncodedDataset | None, recipe: ClipRecipe
) -> dict[str, Any]:
    """What is tuned and on what: plain values that can be shown, and digests of the data."""
    noise = repr(list(process_of_images(model).key))
    return {
        **settings,
        "base": base_of(model),
        "training clips": encoded.key(recipe),
        "prior clips": "" if prior is None else prior.key(_prior_recipe(recipe)),
        "noise process": hashlib.sha256(noise.encode()).hexdigest(),
    }
