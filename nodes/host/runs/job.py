"""A run of any method: return a finished one of the same request, or train one and save it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ....training.core.config import BOOKKEEPING, BOTH_EXPERTS, LATER, TrainConfig
from ....training.core.loop import Cancelled
from ....training.core.optimizers import check_warmup, with_installed_optimizer
from ....training.core.validation import levels_within, validation_losses
from ....training.data.encoding import EncodedDataset
from ....training.distributed.processes import processes
from ....training.runs.changes import REFUSE
from ..model.known_model import KnownModel
from ..services.node_text import warn
from ..session.session import Session
from .attempts import RunTask, train
from .encode_only import encode
from .following import follow, tell_end
from .kinds import RunKind
from .live_runs import Stage
from .opening import opened_run
from .output import Trained, find_finished
from .previews import Note, Sample

log = logging.getLogger(__name__)

TRAINING_REVISION = 2  # raise it when the same settings and seed give another result, so that old runs do not count


@dataclass(frozen=True)
class Job:
    """What one method asks a run for."""

    kind: RunKind
    model: KnownModel
    config: TrainConfig
    run_name: str  # of the run; empty: a new one
    unnamed: str  # what a new one is called, with a number
    identity: dict[str, Any]  # of data and method: plain values that can be shown, and digests
    former: Mapping[str, str] = field(default_factory=dict, kw_only=True)  # digests of the same files by older rules
    make_objective: Callable[[], Any]  # encodes; called only when there is something to train
    make_validation: Callable[[], Any] | None = None
    can_validate: bool = True  # whether the method takes clips to validate with
    validate: Callable[..., dict[str, float]] | None = None  # in place of ``validation_losses``, with its arguments
    make_sample: Callable[[Any, Path, Session, Note], Sample] | None = None  # of an objective, in a run's folder
    on_change: str = REFUSE
    clip_names: Sequence[str] = ()
    workflow: Mapping[str, str] = field(default_factory=dict)  # for the file's metadata, as the host writes it
    sets: Mapping[str, EncodedDataset] = field(default_factory=dict)  # its data, by the inputs of the Train node
    stage: Stage | None = None  # which of several runs of the node it is

    @property
    def name(self) -> str:
        """The run's name, with the expert in it; empty for a new run."""
        return self._of_expert(self.run_name) if self.run_name else ""

    @property
    def new_name(self) -> str:
        """What a new run is called, without its number."""
        return self._of_expert(self.unnamed)

    @property
    def file_name(self) -> str:
        """What the files and their folder are called."""
        return self.name or self.new_name

    @property
    def runs(self) -> str:
        """Pattern of the names of its runs' folders; no name holds a character that means something in a pattern."""
        return self.name or f"{self.new_name}_*"

    def validation(self, held_out: Any, predict: Any, device: Any) -> dict[str, float]:
        """Losses on held-out clips by name, ``mean`` among them."""
        levels = levels_within(self.config.sigma_low, self.config.sigma_high)
        return (self.validate or validation_losses)(held_out, predict, device, levels)

    def _of_expert(self, name: str) -> str:
        ending = f"_{self.config.expert.replace(' ', '_')}"
        return name if self.config.expert == BOTH_EXPERTS or ending in name else f"{name}{ending}"

    def whole_identity(self) -> dict[str, Any]:
        """All that decides the result, but the settings."""
        on_model = {f"{name} on the model": digest for name, digest in self.model.changes.items()}
        model = self.model.fingerprint
        return {**self.identity, "model": model, **on_model, "training revision": TRAINING_REVISION}


def run_job(job: Job, known: Callable[[], Trained | None] = lambda: None) -> Trained:
    """Return the finished run of the same configuration, data and model, or train one and save it.

    A run that is cancelled or fails keeps the steps it did, as a file and as a state from which it goes on. What
    ``known`` gives is returned in its place.

    Raises:
        ValueError: the run name, the data or the model is unsuitable, or the run of that name had other settings.
        RuntimeError: what was trained cannot be saved anywhere.
    """
    if processes().ended:
        raise Cancelled(f"the run {job.file_name} is not begun, because an end was asked for")
    if processes().only_encodes:
        return encode(job)
    if processes().rank:
        return follow(job)
    trained = known() or _done(job)
    tell_end(trained)
    return trained


def _done(job: Job) -> Trained:
    """The run as process 0 does it, which is the only one in ComfyUI."""
    job.kind.files(job.file_name)  # refuses what cannot name a folder
    config, missing = with_installed_optimizer(job.config)
    check_settings(job, config)
    job, identity = replace(job, config=config), job.whole_identity()
    if missing:
        log.warning("%s", missing)
    finished = find_finished(job.kind, job.file_name, run_key(config, identity), job.runs)
    if finished is not None:
        return _told(finished)
    _tell_former(job, config, identity)
    with opened_run(job.name, job.new_name, config, identity, job.on_change, job.former) as opened:
        key = run_key(config, identity, opened.accepted)
        finished = find_finished(job.kind, job.file_name, key, job.runs)
        return train(RunTask(job, opened, identity, key, missing)) if finished is None else _told(finished)


def check_settings(job: Job, config: TrainConfig) -> None:
    """Refuse settings that no step could be done with, while nothing is encoded yet.

    Raises:
        ValueError: a setting cannot hold for this run.
    """
    check_config(job.kind, job.model, config)
    if config.validate_every and job.make_validation is None and not (job.stage and job.stage.follows):
        advice = "connect validation clips" if job.can_validate else "this method has no validation, set it to 0"
        warn(f"validate_every is {config.validate_every}, but there is nothing to validate: {advice}")


def check_config(kind: RunKind, model: KnownModel, config: TrainConfig) -> None:
    """Refuse settings that no step could be done with; a node of several runs asks for all of them before the first.

    Raises:
        ValueError: a setting cannot hold for these steps, or for the model.
    """
    check_warmup(config)
    if kind.fits is not None:
        kind.fits(model, config)


def _tell_former(job: Job, config: TrainConfig, identity: dict[str, Any]) -> None:
    """Say why a run of the same files is trained again."""
    former = {**identity, **job.former}
    if former == identity:
        return
    before = find_finished(job.kind, job.file_name, run_key(config, former), job.runs)
    if before is not None:
        log.warning(
            "%s was trained on the same files as an earlier version of the pack read them; they are encoded and "
            "trained on again, see the report of the data set", before.path.name,
        )  # fmt: skip


def _told(finished: Trained) -> Trained:
    log.info("this run is finished already, %s is returned; change the seed to train again", finished.path.name)
    return finished


def run_key(config: TrainConfig, identity: dict[str, Any], accepted: Sequence[str] = ()) -> str:
    """Digest of everything that decides the result, changes on the way included."""
    settings = {name: value for name, value in config.to_dict().items() if name not in (*BOOKKEEPING, *config.unused)}
    settings = {name: value for name, value in settings.items() if name not in LATER or value != LATER[name]}
    return hashlib.sha256(json.dumps([settings, identity, list(accepted)], sort_keys=True).encode()).hexdigest()
