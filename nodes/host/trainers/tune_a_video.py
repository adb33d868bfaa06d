"""Tune-A-Video training in the host: a clip and settings in, a run and what it has tuned out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ....methods.tune_a_video import Tuned
from ....training.core.config import ATTENTION_PRESET, TrainConfig
from ....training.core.methods import TUNE_A_VIDEO
from ....training.core.preview import PreviewSettings
from ....training.data.encoding import EncodedDataset
from ....training.runs.changes import REFUSE
from ....training.tune_a_video.file import file_metadata, tuned_from
from ....training.tune_a_video.objective import TuneAVideoObjective
from ....training.tune_a_video.recipe import ClipRecipe, FrameWindow
from ..model.experts import resolved
from ..model.image_model import ImageModel
from ..runs.job import Job, run_job
from ..runs.kinds import RunKind
from ..runs.output import Trained
from ..runs.previews import Note, Preview, Sample, make_sample
from ..sampling.context import check_size
from ..services.folders import tune_a_video_output_folder
from ..services.keys import TUNE_A_VIDEO_KEY
from ..session.clip import Form, clip_session
from ..session.session import Session
from .tune_a_video_data import former_of, identity_of, make_objective, settings_of


@dataclass(frozen=True)
class TuningRequest:
    """What TuneAVideoTrain is asked for besides the optimiser's settings."""

    form: Form = field(default_factory=Form)
    window: FrameWindow = field(default_factory=FrameWindow)
    prior_weight: float = 1.0
    run_name: str = ""  # "": a new run
    on_change: str = REFUSE


def train_tune_a_video(
    image: ImageModel,
    encoded: EncodedDataset,
    config: TrainConfig,
    request: TuningRequest,
    prior: EncodedDataset | None = None,
    vae: Any = None,
    workflow: Mapping[str, str] | None = None,
) -> tuple[Trained, Tuned]:
    """Tune a model on a clip, or return the finished run of the same request; with what was tuned.

    Args:
        image: the MODEL; it is not changed.
        encoded: The clip and its caption.
        config: Settings of the run; its rank is that of ``request``.
        request: The node's other inputs.
        prior: Clips or images of what the model must not forget.
        vae: Decodes previews; without it they show colours of the latents.
        workflow: For the file's metadata, as the host's savers write it.

    Raises:
        ValueError: the model, the data or the request does not fit.
    """
    check_model(image)
    config = settings_for(image, config, request.form)
    recipe = ClipRecipe(request.window, image.channels)
    for sample in encoded.dataset.samples:
        recipe.check(sample)
    for data in (encoded, *(() if prior is None else (prior,))):
        check_sizes(data, image)
    weight = 0.0 if prior is None else request.prior_weight
    settings = settings_of(encoded.dataset, request.form, request.window, weight)

    def preview(of: TuneAVideoObjective, folder: Path, session: Session, note: Note) -> Sample:
        fps = encoded.dataset.fps / request.window.stride
        shown = Preview(of, folder, fps, compression=1, vae=vae, settings=PreviewSettings(seed=config.seed))
        return make_sample(session, shown, note)

    job = Job(
        kind=kind_of(request.form),
        model=image,
        config=config,
        run_name=request.run_name.strip(),
        unnamed="tune_a_video",
        identity=identity_of(image, settings, encoded, prior, recipe),
        former=former_of(encoded, prior, recipe),
        make_objective=lambda: make_objective(image, encoded, recipe, config, prior, weight, settings),
        make_sample=preview,
        can_validate=False,
        on_change=request.on_change,
        clip_names=[sample.name for sample in encoded.dataset.samples],
        workflow=workflow or {},
        sets={"encoded": encoded, **({} if prior is None else {"prior": prior})},
    )
    trained = run_job(job)
    return trained, tuned_from(trained.file, trained.path.name)


def check_model(image: ImageModel) -> None:
    """Refuse a MODEL that was tuned already.

    Raises:
        ValueError: it was.
    """
    if image.model.get_attachment(TUNE_A_VIDEO_KEY) is not None:
        raise ValueError(
            "the model has Tune-A-Video on it already, which would not be part of what is saved; "
            "take it from before Tune-A-Video Apply"
        )


def kind_of(form: Form) -> RunKind:
    """What the runs of a form make."""
    return RunKind(
        "Tune-A-Video file",
        tune_a_video_output_folder,
        partial(clip_session, form=form),
        file_metadata,
        TUNE_A_VIDEO,
    )


def settings_for(image: ImageModel, config: TrainConfig, form: Form) -> TrainConfig:
    """The settings with the rank of a form.

    Raises:
        ValueError: a setting means nothing to this method.
    """
    family = image.family
    if config.per_frame_timesteps:
        raise ValueError(f"{family.name} takes no timestep per frame; switch per_frame_timesteps off")
    if config.target_modules != ATTENTION_PRESET:
        raise ValueError(
            f"target_modules is {config.target_modules!r}, but Tune-A-Video trains queries and temporal attention "
            f'whatever it says; set it to "{ATTENTION_PRESET}"'
        )
    alpha = config.alpha if form.rank else None
    return resolved(replace(config, rank=max(1, form.rank), alpha=alpha), image.model, family)


def check_sizes(encoded: EncodedDataset, image: ImageModel) -> None:
    """Refuse clips of a width or height that the model does not take.

    Raises:
        ValueError: a size does not fit.
    """
    data = encoded.dataset
    for size in (data, *data.buckets()):
        check_size(size.width, size.height, image.family)
