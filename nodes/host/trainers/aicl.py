"""AICL training in the host: clips with references and settings in, an adapter out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ....training.aicl.file import load_adapter
from ....training.aicl.objective import AiclObjective
from ....training.aicl.validation import reference_losses
from ....training.core.config import TrainConfig
from ....training.core.methods import AICL
from ....training.core.preview import PreviewSettings
from ....training.data.encoding import EncodedDataset
from ....training.lora.metadata import model_spec, to_metadata
from ..aicl.adapter import HostAdapter
from ..model.video_model import VideoModel
from ..runs.job import Job, run_job
from ..runs.kinds import RunKind
from ..runs.output import Trained
from ..runs.previews import Note, Preview, Sample, make_sample
from ..services.folders import aicl_output_folder, register_aicl_folders
from ..session.aicl import aicl_session
from ..session.placement import ALL, Room
from ..session.session import Session
from .aicl_plan import AiclPlan, AiclRequest, make_objective, plan_aicl
from .clips import tell_other_sizes


def train_aicl(
    video: VideoModel,
    encoded: EncodedDataset,
    config: TrainConfig,
    request: AiclRequest,
    validation: EncodedDataset | None = None,
    vae: Any = None,
    workflow: Mapping[str, str] | None = None,
) -> tuple[HostAdapter, Trained]:
    """Train an adapter, or return the finished run of the same request.

    Args:
        video: the MODEL; it is not changed.
        encoded: The clips with their references.
        config: Settings of the run.
        request: The node's other inputs.
        validation: Clips that are not trained on.
        vae: Decodes previews; without it they show colours of the latents.
        workflow: For the adapter's metadata, as the host's savers write it.

    Raises:
        ValueError: the model, the data or the request does not fit.
    """
    sets = (encoded,) if validation is None else (encoded, validation)
    plan = plan_aicl(video, config, request, *sets)
    if validation is not None:
        tell_other_sizes(encoded.dataset, validation.dataset)
    objective = cache(lambda: make_objective(plan, encoded))  # the session asks for it too
    held_out = None if validation is None else lambda: make_objective(plan, validation, objective().aicl.sizes)
    job = Job(
        kind=adapter_kind(objective),
        model=plan.video,
        config=plan.config,
        run_name=request.run_name.strip(),
        unnamed=AICL,
        identity=plan.identity(encoded, validation),
        former=plan.former(encoded, validation),
        make_objective=objective,
        make_validation=held_out,
        validate=reference_losses,
        make_sample=_sampler(plan, encoded, vae),
        on_change=request.on_change,
        clip_names=[sample.name for sample in encoded.dataset.samples],
        workflow=workflow or {},
        sets={"encoded": encoded, **({} if validation is None else {"validation": validation})},
    )
    register_aicl_folders()
    trained = run_job(job)
    return HostAdapter(load_adapter(trained.path), trained.path.name), trained


def adapter_kind(objective: Callable[[], AiclObjective]) -> RunKind:
    """What an AICL run makes; the objective decides the adapter's sizes."""

    def opened(video: VideoModel, config: TrainConfig, room: Room = ALL) -> Any:
        return aicl_session(video, config, objective(), room)

    return RunKind("AICL adapter", aicl_output_folder, opened, adapter_metadata, AICL)


def adapter_metadata(
    record: Mapping[str, str],
    config: TrainConfig,  # noqa: ARG001 - the record has it
    *,
    title: str = "",
    date: str = "",
    workflow: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """All metadata of an adapter's file: our record, modelspec, and the workflow."""
    spec = model_spec(record, title, date)
    base = spec["modelspec.architecture"].removesuffix("/lora")
    return {**(workflow or {}), **to_metadata(record), **spec, "modelspec.architecture": f"{base}/{AICL}"}


def _sampler(
    plan: AiclPlan, encoded: EncodedDataset, vae: Any
) -> Callable[[AiclObjective, Path, Session, Note], Sample]:
    def sample(objective: AiclObjective, folder: Path, session: Session, note: Note) -> Sample:
        request = PreviewSettings(seed=plan.config.seed)
        preview = Preview(objective, folder, encoded.dataset.fps, plan.video.family.compression, vae, request)
        return make_sample(session, preview, note)

    return sample
