"""What the training plan measures, for each method: the largest clip of a data set in the method's own session."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ....methods.aicl import DropRates
from ....training.aicl.augmentation import NONE
from ....training.aicl.groups import BY_FOLDER, FILES, Groups
from ....training.aicl.objective import AiclData, AiclObjective, AiclOrder
from ....training.aicl.reading import Reading, Reference, with_reading
from ....training.core.config import TrainConfig
from ....training.data.dataset import Dataset, Sample
from ....training.data.encoding import EncodedDataset, EncodedSample, Recipe
from ....training.motion.objective import MotionTerms, default_config, motion_loss
from ....training.motion.recipe import LEAST, MotionRecipe, plan_stride
from ....training.tic_ft.cuts import cut_frames
from ....training.tic_ft.layout import plan_layouts
from ....training.tic_ft.recipe import TicftRecipe
from ....training.tune_a_video.objective import PUBLISHED
from ....training.tune_a_video.recipe import ClipRecipe, Window
from ..layers.adapters import check_trainable
from ..model.families import Family, trainable_family_of
from ..model.noise import process_of, repaired
from ..sampling.context import check_size, latent_channels
from ..services.progress import encoding_progress
from ..session.aicl import aicl_session
from ..session.clip import BLOCKS, Form, clip_session, process_of_images
from ..session.session import training_session
from ..trainers.aicl_plan import Order as AiclSettings
from ..trainers.aicl_plan import plan_aicl, sizes_for
from ..trainers.motion_settings import MotionOrder, check_order, stage_config, stretched
from ..trainers.tune_a_video import check_model, check_sizes, family_of_images, settings_for
from .memory_profile import LargestClip, Opened

TIC_FT, MOTION, AICL, TUNE_A_VIDEO = METHODS = ("TIC-FT", "one-shot motion", "AICL", "Tune-A-Video")


@dataclass(frozen=True)
class PlanOrder:
    """What decides a step's size besides the settings, in the terms of the Train nodes."""

    method: str = TIC_FT
    task: str = "image to video"  # TIC-FT
    condition_latents: int = -1  # TIC-FT; -1: the task's
    buffer_latents: int = -1  # TIC-FT; -1: the task's
    sparse_latents: int = 0  # one-shot motion; 0: all of them
    size: str = "small"  # AICL
    max_references: int = 3  # AICL
    frames: int = 24  # Tune-A-Video; 0: all of them


@dataclass(frozen=True)
class Subject:
    """A step of the largest clip, ready to be measured."""

    model: Any  # host MODEL
    config: TrainConfig  # as the method trains with it
    clip: LargestClip
    family: Family
    opened: Opened = training_session
    notes: tuple[str, ...] = ()


def asked_settings(method: str, settings: TrainConfig | None, rank: int, batch_size: int) -> TrainConfig:
    """The settings that a Train node of the method would use."""
    unset = {MOTION: default_config(), TUNE_A_VIDEO: PUBLISHED}.get(method, TrainConfig())
    return replace(settings or unset, rank=max(1, rank), batch_size=batch_size)


def subject_of(model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder, rank: int) -> Subject:
    """What is to be measured for an order; its largest clip is encoded.

    Raises:
        ValueError: the method is unknown, or the model or the data does not fit, as in training.
    """
    if order.method not in METHODS:
        raise ValueError(f"method is {order.method!r}; choose one of {', '.join(METHODS)}")
    if not rank and order.method != TUNE_A_VIDEO:
        raise ValueError(f"rank is 0, which Tune-A-Video alone can do; give {order.method} a rank of 1 or more")
    makers = {TIC_FT: tic_ft_subject, MOTION: motion_subject, AICL: aicl_subject}
    maker = makers.get(order.method) or partial(tune_a_video_subject, form=Form(rank))
    return maker(model, encoded, config, order)


def tic_ft_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder) -> Subject:
    """The longest sequence of condition, buffers and target."""
    family, model = _video_model(model)
    recipe = _tic_ft_recipe(model, encoded.dataset, order, family)
    sample = encode_largest(encoded, recipe, lambda sample: recipe.layout_of(sample).frames)
    notes = cut_frames(order.task, encoded.dataset, recipe.layouts, family.compression)
    clip = _clip(model, sample.latents["x0"], sample, family, recipe.layout.prefix)
    return Subject(model, config, clip, family, notes=tuple(notes))


def motion_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder) -> Subject:
    """A clip in the second stage, whose step is the larger one."""
    family, model = _video_model(model)
    stride = plan_stride(encoded.dataset, order.sparse_latents, family.compression)
    check_order(encoded.dataset, config, MotionOrder(sparse_latents=order.sparse_latents), family, stride)
    config = stage_config(config, model, family)
    recipe = MotionRecipe(stride, family.compression, family.time_patch, latent_channels(model))
    sample = encode_largest(encoded, recipe, recipe.latents_of)
    model = stretched(model, stride)
    clip = _clip(model, sample.latents["x0"][:, ::stride], sample, family)
    return Subject(model, config, replace(clip, loss=_motion_loss, least=LEAST), family)


def _motion_loss(prediction: Tensor, target: Tensor) -> Tensor:
    anchor = torch.zeros(len(target), dtype=torch.long)
    return motion_loss(prediction, target, anchor, MotionTerms()).mean()


def aicl_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder) -> Subject:
    """A clip that reads as many references as there may be, each of the length of its own."""
    files = all(sample.reference is not None for sample in encoded.dataset.samples)
    # Variants have the size of what they are variants of, so none is made.
    settings = AiclSettings(size=order.size, group_by=FILES if files else BY_FOLDER, leak_control=NONE)
    plan = plan_aicl(model, config, settings, encoded)
    frames = plan.recipe.latents_of
    sample = encode_largest(encoded, plan.recipe, lambda sample: frames(encoded.dataset.bucket(sample).frames))
    reference = Reference(tuple(plan.recipe.references(sample.latents)), sample.conditioning["reference"]["cross_attn"])
    count = 1 if files else order.max_references
    x0, caption = sample.latents["x0"], sample.conditioning["caption"]
    data = AiclData([x0], [caption], caption, [reference], Groups(((0,),), ("",)))
    training = AiclOrder(sizes_for(plan.model, settings, data), DropRates(), count, process_of(plan.model))
    opened = partial(aicl_session, objective=AiclObjective(data, training, plan.config))
    read = with_reading(caption, Reading(((reference.variants[0], reference.text),) * count, True))
    clip = replace(_clip(plan.model, x0, sample, plan.family), conditioning=read)
    return Subject(plan.model, plan.config, clip, plan.family, opened)


def tune_a_video_subject(
    model: Any, encoded: EncodedDataset, config: TrainConfig, order: PlanOrder, form: Form
) -> Subject:
    """The frames that a step sees, without a prior's."""
    check_model(model)
    check_sizes(encoded, model)
    config = settings_for(model, config, form)
    family = replace(family_of_images(model), blocks=BLOCKS)
    recipe = ClipRecipe(Window(order.frames), latent_channels(model))
    for sample in encoded.dataset.samples:
        recipe.check(sample)
    sample = encode_largest(encoded, recipe, lambda _sample: 1)
    x0 = sample.latents["x0"]
    clip = LargestClip(
        x0, sample.conditioning["caption"], 0, (1, 1, 1), process=process_of_images(model), whole_frames=True
    )
    return Subject(model, config, clip, family, partial(clip_session, form=form), ("Each latent is one frame.",))


def encode_largest(encoded: EncodedDataset, recipe: Recipe, latents: Callable[[Sample], int]) -> EncodedSample:
    """The clip of a data set with the most tokens, encoded, or read from the cache."""
    dataset = encoded.dataset

    def size(sample: Sample) -> int:
        bucket = dataset.bucket(sample)
        return bucket.width * bucket.height * latents(sample)

    view = copy.copy(encoded)
    view.dataset = replace(dataset, samples=(max(dataset.samples, key=size),))
    return view.encode(recipe, encoding_progress()).samples[0]


def _video_model(model: Any) -> tuple[Family, Any]:
    family = trainable_family_of(model)
    check_trainable(model)
    return family, repaired(model)


def _clip(model: Any, x0: Tensor, sample: EncodedSample, family: Family, prefix: int = 0) -> LargestClip:
    patch = model.model.diffusion_model.patch_size
    side = patch if isinstance(patch, int) else patch[-1]  # latent pixels of a token's side
    return LargestClip(x0, sample.conditioning["caption"], prefix, (family.time_patch, side, side))


def _tic_ft_recipe(model: Any, dataset: Dataset, order: PlanOrder, family: Family) -> TicftRecipe:
    for bucket in dataset.buckets():
        check_size(bucket.width, bucket.height, family)
    counts = (order.condition_latents, order.buffer_latents, "", family.compression, family.time_patch)
    first, *others = plan_layouts(order.task, dataset, *counts)
    return TicftRecipe(order.task, first, False, family.compression, latent_channels(model), tuple(others))
