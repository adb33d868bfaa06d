"""TIC-FT training in the host: data and settings in, a LoRA run out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....methods import tic_ft
from ....methods.flow import NoiseProcess
from ....training.core.config import TrainConfig
from ....training.core.preview import PreviewSettings
from ....training.data.dataset import Dataset
from ....training.data.encoding import EncodedDataset, former_clips
from ....training.runs.changes import REFUSE
from ....training.tic_ft.layout import plan_layout, plan_layouts
from ....training.tic_ft.objective import TicftObjective
from ....training.tic_ft.recipe import TicftRecipe
from ..model.experts import resolved
from ..model.families import Family
from ..model.video_model import VideoModel
from ..runs.job import Job, run_job
from ..runs.kinds import LORA
from ..runs.output import Trained
from ..runs.previews import Note, Preview, Sample, make_sample
from ..sampling.context import ENCODINGS, check_size
from ..session.session import Session
from .clips import encoded_clips, tell_other_sizes


@dataclass(frozen=True)
class TicftRequest:
    """What TICFTTrain is asked for besides the optimiser's settings, in its widgets' terms."""

    task: str
    condition_latents: int = -1  # -1: the task's
    buffer_latents: int = -1  # -1: the task's
    run_name: str = ""  # "": a new run, called after the task
    buffer_levels: str = ""  # "": evenly rising
    encoding: str = ENCODINGS[0]
    on_change: str = REFUSE


def train_tic_ft(
    video: VideoModel,
    encoded: EncodedDataset,
    config: TrainConfig,
    request: TicftRequest,
    validation: EncodedDataset | None = None,
    vae: Any = None,
    workflow: Mapping[str, str] | None = None,
) -> tuple[Trained, dict[str, Any]]:
    """Train a TIC-FT LoRA, or return the finished run of the same request; with its TICFT_SETTINGS.

    Args:
        video: the MODEL; it is not changed.
        encoded: The clip pairs.
        config: Settings of the run.
        request: The node's other inputs.
        validation: Pairs that are not trained on.
        vae: Decodes previews; without it they show colours of the latents.
        workflow: For the LoRA's metadata, as the host's savers write it.

    Raises:
        ValueError: the model, the data or the request does not fit.
    """
    family = video.family
    if config.per_frame_timesteps and not family.per_frame_timesteps:
        raise ValueError(f"{family.name} takes no timestep per frame; switch per_frame_timesteps off")
    for data in (encoded, *(() if validation is None else (validation,))):
        _check_sizes(data.dataset, family)
    config = resolved(config, video.model, family)
    recipe = plan_recipe(video, encoded.dataset, request)
    if validation is not None:
        _check_validation(validation, recipe, family.time_patch)
        tell_other_sizes(encoded.dataset, validation.dataset)
    settings = recipe.settings(config.per_frame_timesteps, encoded.dataset)

    def objective(data: EncodedDataset) -> TicftObjective:
        return make_objective(video, data, recipe, config)

    def sample(of: TicftObjective, folder: Path, session: Session, note: Note) -> Sample:
        fps, per_frame = encoded.dataset.fps, config.per_frame_timesteps
        shown = Preview(of, folder, fps, family.compression, vae, PreviewSettings(seed=config.seed), per_frame)
        return make_sample(session, shown, note)

    job = Job(
        kind=LORA,
        model=video,
        config=config,
        run_name=request.run_name.strip(),
        unnamed=f"tic_ft_{request.task.replace(' ', '_')}",
        identity=_identity(settings, encoded, validation, recipe, video.process),
        former=former_clips(recipe, encoded, validation),
        make_objective=lambda: objective(encoded),
        make_validation=None if validation is None else lambda: objective(validation),
        make_sample=sample,
        on_change=request.on_change,
        clip_names=[sample.name for sample in encoded.dataset.samples],
        workflow=workflow or {},
        sets={"encoded": encoded, **({} if validation is None else {"validation": validation})},
    )
    return run_job(job), settings


def plan_recipe(video: VideoModel, dataset: Dataset, request: TicftRequest) -> TicftRecipe:
    """What of the data is encoded for a request.

    Raises:
        ValueError: the data or the request does not fit.
    """
    family = video.family
    counts = (request.condition_latents, request.buffer_latents, request.buffer_levels)
    layouts = plan_layouts(request.task, dataset, *counts, family.compression, family.time_patch)
    for layout in layouts:
        tic_ft.sigma_layout(layout, video.process)  # refuses what could not be sampled
    joint = request.encoding == ENCODINGS[1]
    others, known = layouts[1:], family.known_frames and family.known_frames.leading
    return TicftRecipe(request.task, layouts[0], joint, family.compression, video.channels, others, known)


def make_objective(
    video: VideoModel, encoded: EncodedDataset, recipe: TicftRecipe, config: TrainConfig
) -> TicftObjective:
    """Encode what the recipe asks for (or read it from the cache) and bring it into the model's space."""
    clips = encoded_clips(video, encoded, recipe)
    return TicftObjective(
        x0=clips.x0,
        conditioning=clips.captions,
        unconditional=clips.unconditional,
        recipe=recipe,
        config=config,
        dataset=encoded.dataset,
        process=video.process,
    )


def _identity(
    settings: dict[str, Any],
    encoded: EncodedDataset,
    validation: EncodedDataset | None,
    recipe: TicftRecipe,
    process: NoiseProcess,
) -> dict[str, Any]:
    """What is trained and on what: plain values that can be shown, and digests of the data."""
    return {
        **settings,
        "training clips": encoded.key(recipe),
        "validation clips": "" if validation is None else validation.key(recipe),
        "noise process": process.digest,
    }


def _check_sizes(dataset: Dataset, family: Family) -> None:
    check_size(dataset.width, dataset.height, family)
    for bucket in dataset.buckets():
        check_size(bucket.width, bucket.height, family)


def _check_validation(validation: EncodedDataset, recipe: TicftRecipe, time_patch: int) -> None:
    if recipe.others:
        for sample in validation.dataset.samples:
            recipe.layout_of(sample)  # refuses what is too short for all buckets
        return
    layout = recipe.layout
    counts = (layout.condition, layout.buffer, "", recipe.compression, time_patch)
    own = plan_layout(recipe.task, validation.dataset, *counts)
    if own.target != layout.target:
        raise ValueError(
            f"the validation targets make {own.target} latents, the training targets {layout.target}; "
            "use clips of one length for both"
        )
