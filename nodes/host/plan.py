"""The training plan: which clip is the largest, and what small steps on the real model say about a step of it."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from typing import Any

from ...training.config import CHECKPOINTING, TrainConfig
from ...training.dataset import Dataset
from ...training.encoding import EncodedDataset
from ...training.optimizers import with_installed_optimizer
from ...training.plan import Row, first_that_fits, plan_rows, report
from ...training.tic_ft_cuts import cut_frames
from ...training.tic_ft_layout import plan_layouts
from ...training.tic_ft_recipe import TicftRecipe
from .adapters import check_trainable
from .context import check_size, latent_channels
from .families import Family, trainable_family_of
from .micro_steps import LargestClip, measure, step_of
from .noise import repaired
from .progress import encoding_progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlanOrder:
    """What decides a step's size besides the settings, in the node's terms."""

    task: str
    condition_latents: int = -1  # -1: the task's
    buffer_latents: int = -1  # -1: the task's


def plan_training(
    model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder
) -> tuple[str, TrainConfig]:
    """A readable table, and the settings with the first checkpointing that fits; the leanest where none does.

    Raises:
        ValueError: the model or the data does not fit, as in training.
    """
    family = trainable_family_of(model)
    check_trainable(model)
    model = repaired(model)
    config, note = with_installed_optimizer(config)
    recipe = _recipe(model, encoded.dataset, order, family)
    cut = cut_frames(order.task, encoded.dataset, recipe.layouts, family.compression)
    clip = largest_clip(model, encoded, recipe, family)
    measured, network, free, notes = measure(model, config, clip, family)
    asked = step_of(clip, clip.x0.shape, config.batch_size)
    lines = [note, *notes, *cut]
    if not measured:
        text, mode = "Not even a small step fits; use a smaller model, or its weights in fp8.", CHECKPOINTING[-1]
    else:
        rows = plan_rows(measured, network, asked, free)
        text, mode = report(rows, network, asked, free), _chosen(rows, free)
    text = "\n".join(line for line in (*lines, text) if line)
    log.info("training plan:\n%s", text)
    return text, replace(config, checkpointing=mode)


def largest_clip(model: Any, encoded: EncodedDataset, recipe: TicftRecipe, family: Family) -> LargestClip:
    """The clip of the data set that makes the longest sequence, encoded as the trainer will find it in the cache."""
    dataset = encoded.dataset

    def size(sample: Any) -> int:
        bucket = dataset.bucket(sample)
        return bucket.width * bucket.height * recipe.layout_of(sample).frames

    view = copy.copy(encoded)
    view.dataset = replace(dataset, samples=(max(dataset.samples, key=size),))
    sample = view.encode(recipe, encoding_progress()).samples[0]
    side = _patch_side(model.model.diffusion_model)
    x0 = sample.latents["x0"]
    return LargestClip(x0, sample.conditioning["caption"], recipe.layout.prefix, (family.time_patch, side, side))


def _recipe(model: Any, dataset: Dataset, order: PlanOrder, family: Family) -> TicftRecipe:
    for bucket in dataset.buckets():
        check_size(bucket.width, bucket.height, family)
    counts = (order.condition_latents, order.buffer_latents, "", family.compression, family.time_patch)
    first, *others = plan_layouts(order.task, dataset, *counts)
    return TicftRecipe(order.task, first, False, family.compression, latent_channels(model), tuple(others))


def _chosen(rows: list[Row], free: float) -> str:
    row = first_that_fits([row for row in rows if row.by_settings], free)
    return (row or [row for row in rows if row.by_settings][-1]).checkpointing


def _patch_side(network: Any) -> int:
    """Latent pixels of a token's side."""
    patch = network.patch_size
    return patch if isinstance(patch, int) else patch[-1]
