"""Tune-A-Video training in the host: a clip and settings in, a run and what it has tuned out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ....methods.tune_a_video import Tuned
from ....training.core.config import ATTENTION_PRESET, TrainConfig
from ....training.core.preview import PreviewOrder
from ....training.data.encoding import EncodedDataset
from ....training.runs.changes import REFUSE
from ....training.tune_a_video.file import file_metadata, tuned_from
from ....training.tune_a_video.objective import TuneAVideoObjective
from ....training.tune_a_video.recipe import ClipRecipe, Window
from ..layers.adapters import check_trainable
from ..model.experts import resolved
from ..model.families import Family
from ..runs.job import Job, run_job
from ..runs.kinds import Kind
from ..runs.output import Trained
from ..runs.previews import Note, Preview, Sample, make_sample
from ..sampling.context import check_size, latent_channels
from ..services.folders import tune_a_video_output_folder
from ..session.clip import Form, clip_session, process_of_images
from ..session.session import Session
from ..tune_a_video.inflation import FAMILIES, KEY, base_of
from .tune_a_video_data import identity_of, make_objective, settings_of


@dataclass(frozen=True)
class Order:
    """What TuneAVideoTrain is asked for besides the optimiser's settings."""

    form: Form = field(default_factory=Form)
    window: Window = field(default_factory=Window)
    prior_weight: float = 1.0
    run_name: str = ""  # "": a new run
    on_change: str = REFUSE


def train_tune_a_video(
    model: Any,
    encoded: EncodedDataset,
    config: TrainConfig,
    order: Order,
    prior: EncodedDataset | None = None,
    vae: Any = None,
    workflow: Mapping[str, str] | None = None,
) -> tuple[Trained, Tuned]:
    """Tune a model on a clip, or return the finished run of the same order; with what was tuned.

    Args:
        model: host MODEL; it is not changed.
        encoded: The clip and its caption.
        config: Settings of the run; its rank is that of ``order``.
        order: The rest of what was asked for.
        prior: Clips or images of what the model shall still know.
        vae: Decodes previews; without it they show colours of the latents.
        workflow: For the file's metadata, as the host's savers write it.

    Raises:
        ValueError: the model, the data or the order does not fit.
    """
    check_model(model)
    config = settings_for(model, config, order.form)
    recipe = ClipRecipe(order.window, latent_channels(model))
    for sample in encoded.dataset.samples:
        recipe.check(sample)
    for data in (encoded, *(() if prior is None else (prior,))):
        check_sizes(data, model)
    weight = 0.0 if prior is None else order.prior_weight
    settings = settings_of(encoded.dataset, order.form, order.window, weight)

    def preview(of: TuneAVideoObjective, folder: Path, session: Session, note: Note) -> Sample:
        fps = encoded.dataset.fps / order.window.stride
        shown = Preview(of, folder, fps, compression=1, vae=vae, order=PreviewOrder(seed=config.seed))
        return make_sample(session, shown, note)

    job = Job(
        kind=kind_of(order.form),
        model=model,
        config=config,
        run_name=order.run_name.strip(),
        unnamed="tune_a_video",
        identity=identity_of(model, settings, encoded, prior, recipe),
        make_objective=lambda: make_objective(model, encoded, recipe, config, prior, weight, settings),
        make_sample=preview,
        on_change=order.on_change,
        clip_names=[sample.name for sample in encoded.dataset.samples],
        workflow=workflow or {},
    )
    trained = run_job(job)
    return trained, tuned_from(trained.file, trained.path.name)


def check_model(model: Any) -> None:
    """Refuse a host MODEL that cannot be tuned.

    Raises:
        ValueError: it is no Stable Diffusion 1.x or 2.x, also takes a mask, is quantised, or was tuned already.
    """
    base = base_of(model)
    if getattr(model.model, "concat_keys", ()):
        raise ValueError(f"the model is the inpainting kind of {base}, which also takes a mask; load the plain one")
    process_of_images(model)
    check_trainable(model)
    if model.get_attachment(KEY) is not None:
        raise ValueError(
            "the model has Tune-A-Video on it already, which would not be part of what is saved; "
            "take it from before Tune-A-Video Apply"
        )


def kind_of(form: Form) -> Kind:
    """What the runs of a form make."""
    return Kind(
        "Tune-A-Video file",
        tune_a_video_output_folder,
        check_model,
        base_of,
        partial(clip_session, form=form),
        file_metadata,
    )


def settings_for(model: Any, config: TrainConfig, form: Form) -> TrainConfig:
    """The settings with the rank of a form.

    Raises:
        ValueError: a setting means nothing to this method.
    """
    family = family_of_images(model)
    if config.per_frame_timesteps:
        raise ValueError(f"{family.name} takes no timestep per frame; switch per_frame_timesteps off")
    if config.target_modules != ATTENTION_PRESET:
        raise ValueError(
            f"target_modules is {config.target_modules!r}, but Tune-A-Video trains queries and temporal attention "
            f'whatever it says; set it to "{ATTENTION_PRESET}"'
        )
    alpha = config.alpha if form.rank else None
    return resolved(replace(config, rank=max(1, form.rank), alpha=alpha), model, family)


def family_of_images(model: Any) -> Family:
    """What the methods need to know of an image MODEL."""
    base, kind = model.model, type(model.model.model_config).__name__
    pixels = getattr(base.latent_format, "spacial_downscale_ratio", 8)  # a latent pixel stands for, in each direction
    return Family(FAMILIES[kind], type(base).__name__, compression=1, spatial=pixels)


def check_sizes(encoded: EncodedDataset, model: Any) -> None:
    """Refuse clips of a width or height that the model does not take.

    Raises:
        ValueError: as said.
    """
    data = encoded.dataset
    for size in (data, *data.buckets()):
        check_size(size.width, size.height, family_of_images(model))
