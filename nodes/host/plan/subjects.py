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
from ....training.aicl.objective import AiclData, AiclObjective, AiclSettings
from ....training.aicl.reading import Reading, Reference, with_reading
from ....training.core.config import TrainConfig
from ....training.data.dataset import Dataset, Sample
from ....training.data.encoded_set import EncodedSample
from ....training.data.encoding import EncodedDataset, Recipe
from ....training.data.known_frames import FEATURES
from ....training.motion.objective import MotionTerms, default_config, motion_loss
from ....training.motion.recipe import LEAST, MotionRecipe, plan_stride
from ....training.tic_ft.cuts import cut_frames
from ....training.tic_ft.layout import plan_layouts
from ....training.tic_ft.recipe import TicftRecipe
from ....training.tune_a_video.objective import PUBLISHED
from ....training.tune_a_video.recipe import ClipRecipe, FrameWindow
from ..model.fingerprint import patch_of
from ..model.image_model import trainable_image_model
from ..model.known_model import KnownModel
from ..model.sparse import stretched
from ..model.video_model import VideoModel, trainable_video_model
from ..model.vision import CLIP_VISION
from ..sampling.context import check_size
from ..services.progress import encoding_progress
from ..session.aicl import aicl_session
from ..session.clip import Form, clip_session
from ..session.session import Opened, training_session
from ..trainers.aicl_plan import AiclRequest, aicl_video_model, plan_aicl, sizes_for
from ..trainers.motion_settings import MotionRequest, check_request, stage_config
from ..trainers.tune_a_video import check_model, check_sizes, settings_for
from .memory_profile import LargestClip

TIC_FT, MOTION, AICL, TUNE_A_VIDEO = METHODS = ("TIC-FT", "one-shot motion", "AICL", "Tune-A-Video")


@dataclass(frozen=True)
class PlanRequest:
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

    model: KnownModel
    config: TrainConfig  # as the method trains with it
    clip: LargestClip
    opened: Opened = training_session
    notes: tuple[str, ...] = ()


def asked_settings(method: str, settings: TrainConfig | None, rank: int, batch_size: int) -> TrainConfig:
    """The settings that a Train node of the method would use."""
    unset = {MOTION: default_config(), TUNE_A_VIDEO: PUBLISHED}.get(method, TrainConfig())
    return replace(settings or unset, rank=max(1, rank), batch_size=batch_size)


def subject_of(model: Any, encoded: EncodedDataset, config: TrainConfig, request: PlanRequest, rank: int) -> Subject:
    """What is to be measured for a request; its largest clip is encoded.

    Raises:
        ValueError: the method is unknown, or the model or the data does not fit, as in training.
    """
    if request.method not in METHODS:
        raise ValueError(f"method is {request.method!r}; choose one of {', '.join(METHODS)}")
    if not rank and request.method != TUNE_A_VIDEO:
        raise ValueError(f"rank is 0, which Tune-A-Video alone can do; give {request.method} a rank of 1 or more")
    makers = {TIC_FT: tic_ft_subject, MOTION: motion_subject, AICL: aicl_subject}
    maker = makers.get(request.method) or partial(tune_a_video_subject, form=Form(rank))
    return maker(model, encoded, config, request)


def tic_ft_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, request: PlanRequest) -> Subject:
    """The longest sequence of condition, buffers and target."""
    video = trainable_video_model(model)
    recipe = _tic_ft_recipe(video, encoded.dataset, request)
    sample = encode_largest(encoded, recipe, lambda sample: recipe.layout_of(sample).frames)
    notes = cut_frames(request.task, encoded.dataset, recipe.layouts, video.family.compression)
    clip = _clip(video, sample.latents["x0"], sample, recipe.layout.prefix)
    return Subject(video, config, clip, notes=tuple(notes))


def motion_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, request: PlanRequest) -> Subject:
    """A clip in the second stage, whose step is the larger one."""
    video = trainable_video_model(model)
    family = video.family
    stride = plan_stride(encoded.dataset, request.sparse_latents, family.compression)
    check_request(encoded.dataset, config, MotionRequest(sparse_latents=request.sparse_latents), family, stride)
    config = stage_config(config, video)
    recipe = MotionRecipe(stride, family.compression, family.time_patch, video.channels, family.known_frames)
    sample = encode_largest(encoded, recipe, recipe.latents_of)
    video = video.with_model(stretched(video.model, family.positions, stride))
    clip = _clip(video, sample.latents["x0"][:, ::stride], sample)
    return Subject(video, config, replace(clip, loss=_motion_loss, least=LEAST))


def _motion_loss(prediction: Tensor, target: Tensor) -> Tensor:
    anchor = torch.zeros(len(target), dtype=torch.long)
    return motion_loss(prediction, target, anchor, MotionTerms()).mean()


def aicl_subject(model: Any, encoded: EncodedDataset, config: TrainConfig, request: PlanRequest) -> Subject:
    """A clip that reads as many references as there may be, each of the length of its own."""
    files = all(sample.reference is not None for sample in encoded.dataset.samples)
    # Variants have the size of what they are variants of, so none is made.
    settings = AiclRequest(size=request.size, group_by=FILES if files else BY_FOLDER, leak_control=NONE)
    plan = plan_aicl(aicl_video_model(model), config, settings, encoded)
    frames = plan.recipe.latents_of
    sample = encode_largest(encoded, plan.recipe, lambda sample: frames(encoded.dataset.bucket(sample).frames))
    reference = Reference(tuple(plan.recipe.references(sample.latents)), sample.conditioning["reference"]["cross_attn"])
    count = 1 if files else request.max_references
    x0, caption = sample.latents["x0"], sample.conditioning["caption"]
    data = AiclData([x0], [caption], caption, [reference], Groups(((0,),), ("",)))
    training = AiclSettings(sizes_for(plan.video, settings, data), DropRates(), count, plan.video.process)
    opened = partial(aicl_session, objective=AiclObjective(data, training, plan.config))
    clip, read = _clip(plan.video, x0, sample), Reading(((reference.variants[0], reference.text),) * count, True)
    clip = replace(clip, conditioning=with_reading(clip.conditioning, read))
    return Subject(plan.video, plan.config, clip, opened)


def tune_a_video_subject(
    model: Any, encoded: EncodedDataset, config: TrainConfig, request: PlanRequest, form: Form
) -> Subject:
    """The frames that a step sees, without a prior's."""
    image = trainable_image_model(model)
    check_model(image)
    check_sizes(encoded, image)
    config = settings_for(image, config, form)
    recipe = ClipRecipe(FrameWindow(request.frames), image.channels)
    for sample in encoded.dataset.samples:
        recipe.check(sample)
    sample = encode_largest(encoded, recipe, lambda _sample: 1)
    x0 = sample.latents["x0"]
    clip = LargestClip(x0, sample.conditioning["caption"], 0, (1, 1, 1), process=image.process, whole_frames=True)
    return Subject(image, config, clip, partial(clip_session, form=form), ("Each latent is one frame.",))


def encode_largest(encoded: EncodedDataset, recipe: Recipe, latents: Callable[[Sample], int]) -> EncodedSample:
    """The clip of a data set with the most tokens, encoded, or read from the cache."""
    dataset = encoded.dataset

    def size(sample: Sample) -> int:
        bucket = dataset.bucket(sample)
        return bucket.width * bucket.height * latents(sample)

    view = copy.copy(encoded)
    view.dataset = replace(dataset, samples=(max(dataset.samples, key=size),))
    return view.encode(recipe, encoding_progress()).samples[0]


def _clip(video: VideoModel, x0: Tensor, sample: EncodedSample, prefix: int = 0) -> LargestClip:
    _, height, width = patch_of(video.model) or (1, 1, 1)
    tokens = (video.family.time_patch, height, width)
    # Known frames are left out: smaller steps have fewer, and empty ones cost the same.
    features = {CLIP_VISION: sample.latents[FEATURES]} if FEATURES in sample.latents else {}
    return LargestClip(x0, {**sample.conditioning["caption"], **features}, prefix, tokens, video.process)


def _tic_ft_recipe(video: VideoModel, dataset: Dataset, request: PlanRequest) -> TicftRecipe:
    family = video.family
    for bucket in dataset.buckets():
        check_size(bucket.width, bucket.height, family)
    counts = (request.condition_latents, request.buffer_latents, "", family.compression, family.time_patch)
    first, *others = plan_layouts(request.task, dataset, *counts)
    known = family.known_frames and family.known_frames.leading
    return TicftRecipe(request.task, first, False, family.compression, video.channels, tuple(others), known)
