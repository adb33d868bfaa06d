"""Training a run that is opened: prepare the model, go on, save; again with less where memory runs out."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ....training.core.config import BOTH_EXPERTS
from ....training.core.loop import Cancelled
from ....training.core.placement import OFF, Way
from ....training.core.state import TrainState
from ....training.core.trainer import Trainer
from ....training.distributed.processes import processes
from ....training.lora.metadata import BASE_PATCH
from ....training.runs.control import STOP, RunControl, registered, request_sample, request_save, request_stop
from ....training.runs.folder import FAILED, FINISHED, STOPPED
from ....training.runs.monitor import Monitors
from ....training.runs.run import Run
from ..services.progress import StepProgress, throw_if_cancelled
from ..services.workflow_metadata import workflow_id
from ..session.memory_use import free_memory
from ..session.session import Session
from .compiled_run import settle_blocks
from .endings import close_record, end_run, keep_steps, next_way
from .events import run_monitors
from .fitting import Fitting
from .following import tell_start
from .opening import OpenedRun
from .output import Trained
from .portable import keep_portable
from .saving import Saver
from .setup_line import distilled_warning, distilled_word, telling

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)

UNFITTED = Way(OFF)
ALONE = "previews are left out: process 0 alone cannot sample with a base that is split over several"
COMMANDS = {"stop": request_stop, "save": request_save, "sample": request_sample}


@dataclass(frozen=True)
class RunTask:
    """A job, the run it is done in, and what was found out before."""

    job: Job
    opened: OpenedRun
    identity: dict[str, Any]
    key: str
    missing: str  # a sentence about an optimiser that is not installed, or ""
    way: Way = UNFITTED  # how it is fitted into memory


@dataclass(frozen=True)
class _Data:
    """What is trained on, encoded."""

    objective: Any
    held_out: Any


@dataclass(frozen=True)
class _Again:
    """An attempt that ran out of memory, and what the next one takes from it."""

    way: Way
    stop: bool  # whether the user gave that command meanwhile
    monitors: Monitors


def train(task: RunTask) -> Trained:
    """Encode and train; where memory runs out, again with less of it, until nothing is left that would help."""
    job, monitors = task.job, None
    data = _Data(job.make_objective(), job.make_validation() if job.make_validation is not None else None)
    try:
        fitting = Fitting(job, data.objective)
        outcome = _attempt(_in_way(task, fitting.first()), data, fitting)
        while isinstance(outcome, _Again):  # out here nothing of the attempt before is held any more
            free_memory()  # its frame is gone only now
            monitors = outcome.monitors
            task = replace(task, opened=replace(task.opened, values=task.opened.folder.load()))
            outcome = _attempt(_in_way(task, outcome.way), data, fitting, outcome)
    except BaseException as error:
        close_record(task.opened.folder, monitors, error)
        raise
    return outcome


def _in_way(task: RunTask, way: Way) -> RunTask:
    config = replace(task.job.config, checkpointing=way.checkpointing, kept_blocks=way.kept)
    return replace(task, job=replace(task.job, config=config), way=way)


def _attempt(task: RunTask, data: _Data, fitting: Fitting, before: _Again | None = None) -> Trained | _Again:
    """Prepare the model and go on from the opened run's state."""
    job, opened = task.job, task.opened
    try:
        with job.kind.open(job.model, job.config, room=fitting.room(task.way)) as session:
            trainer = Trainer(
                data.objective, session.predict, session.trained.parameters(), job.config, session.loss_scale,
                session.trained.names,
            )  # fmt: skip
            if opened.values is not None:
                trainer.check(opened.values["trainer"])  # before the record says anything new
            _begin(task)
            with registered(opened.folder.id) as control:
                if before is not None and before.stop:
                    control.give(STOP)
                run = _make_run(task, data, session, trainer, control)
                saver = Saver(
                    job.kind, job.file_name, session.trained, trainer, run.state, opened.folder,
                    _base_record(task, data.objective), job.workflow,
                )  # fmt: skip
                # Not the run's own note: that would be a circle of references.
                run.keep_best, saver.note = saver.keep_best, run.monitors.note
                run.progress = telling(session, StepProgress(job.config.steps), run.monitors.note)
                return _go(task, run, saver, session)
    finally:
        free_memory()


def _go(task: RunTask, run: Run, saver: Saver, session: Session) -> Trained | _Again:
    """Train, then save whatever came of it."""
    job, opened = task.job, task.opened
    try:
        if opened.values is not None:
            run.restore(opened.values)
            opened.folder.forget_after(run.state.step)
            log.info("the run %s goes on at step %d of %d", opened.folder.name, run.state.step, job.config.steps)
        run.monitors.started(opened.folder, job.config, run.state.step)
        settle_blocks(run, session)
        tell_start(run, task.identity, task.way, session.blocks.compiled)
        if task.missing:
            run.note("optimizer", task.missing)
        word = distilled_word(job.model.model)
        if word is not None:
            run.note("distilled", distilled_warning(word))
        run.go()
    except BaseException as stop:  # the host's cancel is no Exception; the steps done are worth keeping
        leaner = next_way(task.way, session.placed, run, stop)
        if leaner is not None:
            return _Again(leaner, run.control.take(STOP), run.monitors)
        keep_steps(run, saver, stop)
        if isinstance(stop, Cancelled) and stop.__cause__ is not None:
            # The host must see its own exception, or it would call a cancelled run a failed one.
            raise stop.__cause__ from None
        raise
    finished = run.state.step >= job.config.steps
    kept = run.save() is not None
    try:
        trained = saver.save(finished)
    except BaseException:
        more = f"; run_name {run.folder.name} still has them" if kept else ""
        end_run(run, FAILED, f"{run.state.step} steps are done but the {job.kind.noun} could not be saved{more}", None)
        raise
    saver.publish_best()
    how = "finished" if finished else "stopped"
    where = trained.path.name if trained.path.parent == job.kind.files(job.file_name) else trained.path
    text = f"{how} after {trained.steps} steps; the {job.kind.noun} is {where}"
    end_run(run, FINISHED if finished else STOPPED, text, trained.path, task.key)
    return trained


def _begin(task: RunTask) -> None:
    """Write the record; a folder that cannot be written costs the run its way back, not its result."""
    job, opened = task.job, task.opened
    values = {"name": opened.folder.name, "config": job.config.to_dict(), "identity": task.identity}
    try:
        opened.folder.begin(**values, accepted=opened.accepted, processes=_shared_by(opened))
        keep_portable(opened.folder, job)
    except OSError as error:
        log.warning("%s cannot be written (%s), so this run cannot be resumed", opened.folder.path, error)


def _shared_by(opened: OpenedRun) -> list[dict[str, int]]:
    """By how many processes the run is trained, from which steps on; it goes on with any number."""
    before = [entry for entry in opened.folder.record.get("processes", []) if entry["step"] < opened.done]
    count = processes().count
    return before if before and before[-1]["count"] == count else [*before, {"step": opened.done, "count": count}]


def _make_run(task: RunTask, data: _Data, session: Session, trainer: Trainer, control: RunControl) -> Run:
    job, held_out, folder = task.job, data.held_out, task.opened.folder

    def validate() -> dict[str, float]:
        return job.validation(held_out, predict, session.device)

    def predict(*inputs: Any) -> Any:
        throw_if_cancelled()
        return session.predict(*inputs)

    monitors = Monitors(run_monitors(session.device, COMMANDS, None, workflow_id(job.workflow), job.stage))
    sample = None
    if job.make_sample is not None and processes().splits and job.config.sample_every:
        monitors.note("preview", ALONE)
    elif job.make_sample is not None and not processes().splits:
        sample = job.make_sample(data.objective if held_out is None else held_out, folder.path, session, monitors.note)
    return Run(
        trainer,
        TrainState(),
        folder,
        control,
        monitors,
        validate=None if held_out is None else validate,
        sample=sample,
        clip_names=job.clip_names,
    )


def _base_record(task: RunTask, objective: Any) -> dict[str, str]:
    job, accepted = task.job, task.opened.accepted
    expert = {} if job.config.expert == BOTH_EXPERTS else {"expert": job.config.expert}
    changed = {"changed": json.dumps(list(accepted))} if accepted else {}
    return {
        **objective.metadata(),
        **expert,
        **changed,
        "base_family": job.model.base,
        "base_model": job.model.described,
        **({BASE_PATCH: job.model.patch} if job.model.patch else {}),
        "config": json.dumps(job.config.to_dict()),
        "clips": str(objective.size),
        **({"dataset_hash": task.identity["training clips"]} if "training clips" in task.identity else {}),
        "run_key": task.key,
    }
