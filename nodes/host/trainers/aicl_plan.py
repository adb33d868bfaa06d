"""AICL training in the host: what a request means for a model and a data set."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....methods.aicl import AdapterSizes, DropRates, parameter_counts, preset_sizes
from ....training.aicl.augmentation import CROP, NONE
from ....training.aicl.groups import FILES, Groups, action_words, group_clips
from ....training.aicl.objective import AiclData, AiclObjective, AiclSettings
from ....training.aicl.reading import Reference
from ....training.aicl.recipe import AiclRecipe
from ....training.core.config import ATTENTION_PRESET, TrainConfig
from ....training.core.methods import AICL
from ....training.data.encoded_set import EncodedSet
from ....training.data.encoding import EncodedDataset
from ....training.runs.changes import REFUSE
from ....training.storage.lazy import Lazy
from ..aicl.sites import NAMES, SVD, base_of
from ..model.experts import resolved
from ..model.noise import loaded_model
from ..model.video_model import VideoModel, trainable_video_model
from ..sampling.context import check_size
from ..services.keys import AICL_KEY
from .clips import encoded_clips

log = logging.getLogger(__name__)

RESAMPLER, FAITHFUL = FORMS = ("resampler", "faithful")


@dataclass(frozen=True)
class AiclRequest:
    """What AICLTrain is asked for besides the optimiser's settings, in its widgets' terms."""

    size: str = "small"  # a name of methods.aicl.PRESETS
    form: str = RESAMPLER
    max_references: int = 3  # of a clip in a step
    group_by: str = FILES
    actions: str = ""  # action words, with commas between
    leak_control: str = CROP
    variants: int = 2  # augmented ones of each reference
    remove_still: bool = False
    drop_caption: float = 0.1
    drop_references: float = 0.0  # without references the adapter adds nothing, so nothing is learned either
    drop_both: float = 0.0
    run_name: str = ""
    on_change: str = REFUSE

    def settings(self) -> dict[str, Any]:
        """What of it decides the result, as plain values that can be shown."""
        names = [name for name in self.__dataclass_fields__ if name not in ("run_name", "on_change")]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class AiclPlan:
    """A request with all that is known before anything is encoded."""

    video: VideoModel
    config: TrainConfig
    request: AiclRequest
    drops: DropRates
    recipe: AiclRecipe

    @property
    def held_out(self) -> AiclRecipe:
        """For clips of a validation, whose references are read as they are."""
        return replace(self.recipe, leak_control=NONE)

    def groups(self, encoded: EncodedDataset) -> Groups:
        """Who reads whom in a data set."""
        return group_clips(encoded.dataset, self.request.group_by, action_words(self.request.actions))

    def former(self, encoded: EncodedDataset, validation: EncodedDataset | None) -> dict[str, str]:
        """What older versions called the clips in that identity."""
        found = {"training clips": self._clips(encoded.former_key(self.recipe), encoded)}
        if validation is not None:
            found["validation clips"] = self._clips(validation.former_key(self.held_out), validation)
        return found

    def _clips(self, key: str, encoded: EncodedDataset) -> str:
        digest = hashlib.sha256(f"{key} ".encode())
        for piece in self.groups(encoded).pieces():
            digest.update(piece.encode())
        return digest.hexdigest()

    def identity(self, encoded: EncodedDataset, validation: EncodedDataset | None) -> dict[str, Any]:
        """What is trained and on what: plain values that can be shown, and digests of the data."""

        clips = self._clips(encoded.key(self.recipe), encoded)
        try:
            held_out = "" if validation is None else self._clips(validation.key(self.held_out), validation)
        except ValueError as error:
            raise ValueError(f"validation: {error}") from error
        return {
            "method": AICL,
            **self.request.settings(),
            "training clips": clips,
            "validation clips": held_out,
            "noise process": self.video.process.digest,
        }


def plan_aicl(video: VideoModel, config: TrainConfig, request: AiclRequest, *sets: EncodedDataset) -> AiclPlan:
    """Check what can be checked before the encoders run; ``AiclPlan.groups`` refuses clips without references.

    Raises:
        ValueError: the model, a data set or the request does not fit.
    """
    if request.form not in FORMS:
        raise ValueError(f"form is {request.form!r}; choose one of {', '.join(FORMS)}")
    if config.caption_dropout:
        raise ValueError("caption_dropout of the settings is not used here; set it to 0, and drop_caption instead")
    if config.per_frame_timesteps:
        raise ValueError("AICL takes one noise level a clip; switch per_frame_timesteps of the settings off")
    if config.target_modules != ATTENTION_PRESET:
        raise ValueError(
            f"target_modules is {config.target_modules!r}, but AICL trains its adapter whatever it says; set it to "
            f'"{ATTENTION_PRESET}"'
        )
    check_base(video)
    drops = DropRates(request.drop_caption, request.drop_references, request.drop_both)
    family = video.family
    spacing = (family.compression, family.time_patch, video.channels, family.known_frames)
    recipe = AiclRecipe(request.group_by, request.leak_control, request.variants, *spacing)
    plan = AiclPlan(video, resolved(config, video.model, family), request, drops, recipe)
    for encoded in sets:
        for bucket in encoded.dataset.buckets():
            check_size(bucket.width, bucket.height, family)
            recipe.latents_of(bucket.frames)  # refuses what is too short
    return plan


def aicl_video_model(model: Any) -> VideoModel:
    """Ask a host MODEL that an adapter is to be trained on what it is.

    Raises:
        ValueError: as ``trainable_video_model``, or it makes videos of images.
    """
    base = base_of(loaded_model(model))
    if base.kind == SVD:
        raise ValueError(
            f"AICL adapters are trained on {NAMES}, the model is {base.family}, whose conditioning is no caption; load "
            "one of those"
        )
    return trainable_video_model(model)


def check_base(video: VideoModel) -> None:
    """Refuse a MODEL that performs an action already.

    Raises:
        ValueError: it does.
    """
    if video.model.get_attachment(AICL_KEY):
        raise ValueError("the model performs an action already; train on the model as it is in front of AICL Apply")


def make_objective(plan: AiclPlan, encoded: EncodedDataset, sizes: AdapterSizes | None = None) -> AiclObjective:
    """Encode what the recipe asks for, or read it from the cache.

    Args:
        plan: Of the run.
        encoded: The training clips, or with ``sizes`` those of the validation.
        sizes: The adapter's; without them they follow from the request, the base and these clips.

    Raises:
        ValueError: the references are of other sizes than the adapter can take.
    """
    recipe = plan.held_out if sizes else plan.recipe
    clips, request, dataset = encoded_clips(plan.video, encoded, recipe), plan.request, encoded.dataset
    groups = plan.groups(encoded)
    data = AiclData(
        x0=clips.x0,
        conditioning=clips.captions,
        unconditional=clips.unconditional,
        references=references_of(clips.whole, recipe),
        groups=groups,
    )
    if sizes is None:
        sizes = sizes_for(plan.video, request, data)
        data = with_statistics(data, clips.whole)
    _check_references(sizes, clips.whole.shapes(recipe.reference))
    training = AiclSettings(sizes, plan.drops, request.max_references, plan.video.process)
    facts = {**request.settings(), "width": dataset.width, "height": dataset.height, "fps": dataset.fps}
    return AiclObjective(data, training, plan.config, groups.summary(request.group_by), facts)


def sizes_for(video: VideoModel, request: AiclRequest, data: AiclData) -> AdapterSizes:
    """Sizes of the adapter that a request means, for a base and these references; they are logged.

    Raises:
        ValueError: there is no such size.
    """
    base, first = base_of(video), data.references[0]
    frames, height, width = first.variants[0].shape[1:]
    size = (frames, height, width) if request.form == FAITHFUL else None
    sizes = preset_sizes(request.size, video.channels, first.text.shape[1], base.blocks, size)
    sizes = replace(sizes, prism=replace(sizes.prism, still=not request.remove_still))
    prism, integrations = (count / 1e6 for count in parameter_counts(sizes))
    log.info(
        "an AICL adapter of size %s for %s: %.2f M parameters in the prism, %.2f M in the integrations of %d blocks",
        request.size, base, prism, integrations, len(sizes.blocks),
    )  # fmt: skip
    return sizes


def references_of(found: EncodedSet, recipe: AiclRecipe) -> Lazy[Reference]:
    """The reference of each clip, read when it is asked for."""

    def read(i: int) -> Reference:
        return Reference(tuple(recipe.references(found.latents(i))), found.caption(i, "reference")["cross_attn"])

    return Lazy(len(found), read)


def with_statistics(data: AiclData, found: EncodedSet) -> AiclData:
    """The data with its references' mean and deviation, which are worked out once for a set and kept beside it."""

    def make() -> dict[str, Tensor]:
        return dict(zip(("mean", "deviation"), data.statistics(), strict=True))

    kept = found.summary("references, by channel", make)
    return replace(data, known=(kept["mean"], kept["deviation"]))


def _check_references(sizes: AdapterSizes, shapes: Sequence[torch.Size]) -> None:
    size = sizes.prism.size
    others = {tuple(shape[1:]) for shape in shapes} - {size}
    if size is not None and others:
        raise ValueError(
            f"a reference has {list(min(others))} latents, the faithful form takes {list(size)} alone (frames, height, "
            f'width); use clips of one size and length, or the form "{RESAMPLER}"'
        )
