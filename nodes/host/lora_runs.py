"""A LoRA run from start to file: find a finished one, or open its folder, train, save, read back."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...training.changes import REFUSE
from ...training.config import BOOKKEEPING, BOTH_EXPERTS, TrainConfig
from ...training.loop import Cancelled
from ...training.monitor import Monitors
from ...training.optimizers import with_installed_optimizer
from ...training.run import Run
from ...training.run_folder import FAILED, FINISHED, STOPPED
from ...training.run_state import TrainState
from ...training.stop import RunControl, registered, request_sample, request_save, request_stop
from ...training.trainer import Trainer
from ...training.validation import levels_within, validation_losses
from .adapters import check_trainable
from .events import run_monitors
from .families import trainable_family_of
from .fingerprint import model_fingerprint
from .lora_output import TrainedLora, find_finished, run_folder
from .lora_saving import LoraSaver
from .previews import Preview, make_sample
from .progress import StepProgress, throw_if_cancelled
from .run_endings import end_run, keep_steps, leaner_settings
from .run_opening import OpenedRun, open_run
from .training import Session, training_session

log = logging.getLogger(__name__)

TRAINING_REVISION = 2  # raise it when the same order and seed give another LoRA, so that old runs do not count
ORDERS = {"stop": request_stop, "save": request_save, "sample": request_sample}


@dataclass(frozen=True)
class LoraJob:
    """One method's order for a LoRA."""

    model: Any  # host MODEL
    config: TrainConfig
    run_name: str  # of the run; empty: a new one
    unnamed: str  # what a new one is called, with a number
    identity: dict[str, Any]  # of data and method: plain values that can be shown, and digests
    make_objective: Callable[[], Any]  # encodes; called only when there is something to train
    make_validation: Callable[[], Any] | None = None
    make_preview: Callable[[Any, Path], Preview] | None = None  # of an objective, for the run in a folder
    on_change: str = REFUSE
    clip_names: Sequence[str] = ()
    workflow: Mapping[str, str] = field(default_factory=dict)  # for the LoRA's metadata, as the host writes it

    @property
    def name(self) -> str:
        """The run's name, with the expert in it; empty for a new run."""
        return self._of_expert(self.run_name) if self.run_name else ""

    @property
    def new_name(self) -> str:
        """What a new run is called, without its number."""
        return self._of_expert(self.unnamed)

    @property
    def lora_name(self) -> str:
        """What the LoRA files and their folder below the host's output/loras are called."""
        return self.name or self.new_name

    def _of_expert(self, name: str) -> str:
        ending = f"_{self.config.expert.replace(' ', '_')}"
        return name if self.config.expert == BOTH_EXPERTS or ending in name else f"{name}{ending}"

    def whole_identity(self) -> dict[str, Any]:
        """All that decides the result, but the settings."""
        return {**self.identity, "model": model_fingerprint(self.model), "training revision": TRAINING_REVISION}


@dataclass(frozen=True)
class _Order:
    """A job with what is made of it once it is clear that there is something to train."""

    job: LoraJob
    identity: dict[str, Any]
    key: str
    missing: str  # a sentence about an optimiser that is not installed, or ""
    objective: Any
    held_out: Any


def run_lora_job(job: LoraJob) -> TrainedLora:
    """Return the finished run of the same configuration, data and model, or train one and save it.

    A run that is cancelled or fails keeps the steps it did, as a LoRA and as a state from which it goes on.

    Raises:
        ValueError: the run name, the data or the model is unsuitable, or the run of that name had other settings.
        RuntimeError: the LoRA cannot be saved anywhere.
    """
    folder = run_folder(job.lora_name)
    trainable_family_of(job.model)
    check_trainable(job.model)
    config, missing = with_installed_optimizer(job.config)
    job, identity = replace(job, config=config), job.whole_identity()
    if missing:
        log.warning("%s", missing)
    finished = find_finished(folder, run_key(config, identity))
    if finished is None:
        opened = open_run(job.name, job.new_name, config, identity, job.on_change)
        key = run_key(config, identity, opened.accepted)
        finished = find_finished(folder, key)
        if finished is None:
            return _train(job, opened, identity, key, missing)
    log.info("this run is finished already, %s is returned; change the seed to train again", finished.path.name)
    return finished


def run_key(config: TrainConfig, identity: dict[str, Any], accepted: Sequence[str] = ()) -> str:
    """Digest of everything that decides the result, changes on the way included."""
    settings = {name: value for name, value in config.to_dict().items() if name not in BOOKKEEPING}
    return hashlib.sha256(json.dumps([settings, identity, list(accepted)], sort_keys=True).encode()).hexdigest()


def describe_base(model: Any) -> str:
    """Class and size of a host MODEL, for sentences."""
    count = sum(parameter.numel() for parameter in model.model.diffusion_model.parameters())
    return f"{type(model.model).__name__} with {count / 1e6:.2f} M parameters"


def _train(job: LoraJob, opened: OpenedRun, identity: dict[str, Any], key: str, missing: str) -> TrainedLora:
    """Encode and train; where memory runs out, once more with the next settings of the plan."""
    objective = job.make_objective()
    held_out = job.make_validation() if job.make_validation is not None else None
    order = _Order(job, identity, key, missing, objective, held_out)
    outcome = _attempt(order, opened, retry=True)
    if isinstance(outcome, TrainConfig):  # out here nothing of the first attempt is held any more
        _free_memory()  # the first attempt's frame is gone only now
        opened = replace(opened, values=opened.folder.load())
        outcome = _attempt(replace(order, job=replace(job, config=outcome)), opened, retry=False)
    if isinstance(outcome, TrainConfig):
        raise RuntimeError("a run was retried twice")
    return outcome


def _attempt(order: _Order, opened: OpenedRun, retry: bool) -> TrainedLora | TrainConfig:
    """Prepare the model and go on from the opened run's state; gives settings with which to try again, or the LoRA."""
    job = order.job
    try:
        with training_session(job.model, job.config) as session:
            trainer = Trainer(
                order.objective, session.predict, session.adapters.parameters(), job.config, session.loss_scale,
                list(session.adapters.by_name),
            )  # fmt: skip
            if opened.values is not None:
                trainer.check(opened.values["trainer"])  # before the record says anything new
            _begin(job, opened, order.identity)
            with registered(opened.folder.id) as control:
                run = _make_run(order, opened, session, trainer, control)
                saver = LoraSaver(
                    job.lora_name, session.adapters, trainer, run.state, opened.folder,
                    _base_record(order, opened.accepted), job.workflow,
                )  # fmt: skip
                run.keep_best = saver.keep_best
                return _go(order, opened, run, saver, retry)
    finally:
        _free_memory()


def _go(order: _Order, opened: OpenedRun, run: Run, saver: LoraSaver, retry: bool) -> TrainedLora | TrainConfig:
    """Train, then save whatever came of it."""
    job = order.job
    try:
        if opened.values is not None:
            run.restore(opened.values)
            opened.folder.forget_after(run.state.step)
            log.info("the run %s goes on at step %d of %d", opened.folder.name, run.state.step, job.config.steps)
        run.monitors.started(opened.folder, job.config, run.state.step)
        if order.missing:
            run.note("optimizer", order.missing)
        run.go()
    except BaseException as stop:  # the host's cancel is no Exception; the steps done are worth keeping
        leaner = leaner_settings(job.config, run, stop) if retry else None
        if leaner is not None:
            return leaner
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
        end_run(run, FAILED, f"{run.state.step} steps are done but the LoRA could not be saved{more}", None)
        raise
    saver.publish_best()
    text = f"{'finished' if finished else 'stopped'} after {trained.steps} steps; the LoRA is {trained.path.name}"
    end_run(run, FINISHED if finished else STOPPED, text, trained.path)
    return trained


def _begin(job: LoraJob, opened: OpenedRun, identity: dict[str, Any]) -> None:
    """Write the record; a folder that cannot be written costs the run its way back, not its LoRA."""
    values = {"name": opened.folder.name, "config": job.config.to_dict(), "identity": identity}
    try:
        opened.folder.begin(**values, accepted=opened.accepted)
    except OSError as error:
        log.warning("%s cannot be written (%s), so this run cannot be resumed", opened.folder.path, error)


def _make_run(order: _Order, opened: OpenedRun, session: Session, trainer: Trainer, control: RunControl) -> Run:
    job, held_out = order.job, order.held_out
    levels = levels_within(job.config.sigma_low, job.config.sigma_high)

    def validate() -> dict[str, float]:
        return validation_losses(held_out, predict, session.device, levels)

    def predict(*inputs: Any) -> Any:
        throw_if_cancelled()
        return session.predict(*inputs)

    monitors = Monitors(run_monitors(session.device, ORDERS))
    sample = None
    if job.make_preview is not None:
        preview = job.make_preview(order.objective if held_out is None else held_out, opened.folder.path)
        sample = make_sample(session, preview, monitors.note)
    return Run(
        trainer,
        TrainState(),
        opened.folder,
        control,
        monitors,
        progress=StepProgress(job.config.steps),
        validate=None if held_out is None else validate,
        sample=sample,
        clip_names=job.clip_names,
    )


def _base_record(order: _Order, accepted: Sequence[str]) -> dict[str, str]:
    job, objective = order.job, order.objective
    expert = {} if job.config.expert == BOTH_EXPERTS else {"expert": job.config.expert}
    changed = {"changed": json.dumps(list(accepted))} if accepted else {}
    return {
        **objective.metadata(),
        **expert,
        **changed,
        "base_family": trainable_family_of(job.model).name,
        "base_model": describe_base(job.model),
        "config": json.dumps(job.config.to_dict()),
        "clips": str(objective.size),
        **({"dataset_hash": order.identity["training clips"]} if "training clips" in order.identity else {}),
        "run_key": order.key,
    }


def _free_memory() -> None:
    import comfy.model_management

    comfy.model_management.soft_empty_cache()
