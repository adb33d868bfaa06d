"""A run that several processes share, as those see it that do not lead: prepared alike, and nothing is written."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....training.core.config import TrainConfig
from ....training.core.loop import Stopped, run_steps
from ....training.core.placement import Way
from ....training.core.state import StepRecord, TrainState
from ....training.core.trainer import Trainer
from ....training.distributed.processes import PeerFailedError, PeerLostError, processes
from ....training.lora.file import LoraModel
from ....training.runs.run import REWIND, Run, restore
from ..session.memory_use import is_out_of_memory
from .fitting import Fitting
from .output import Trained

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)

TRAIN, DONE, BROKEN = "train", "done", "broken"  # what process 0 tells
SOON = 5.0  # seconds in which the others listen, if they do


class FollowedError(Exception):
    """The run has ended, and so has this process's part: process 0 goes on with what was trained."""


def tell_start(run: Run) -> None:
    """As process 0: let the others begin, or go on, where the run stands."""
    if processes().count > 1:
        processes().tell(TRAIN, {"config": run.trainer.config.to_dict(), **run.values()})


def tell_end(trained: Trained) -> None:
    """As process 0: say what came of the run."""
    if processes().count > 1:
        file = {"tensors": dict(trained.file), "metadata": dict(trained.file.metadata)}
        told = {"losses": trained.losses, "steps": trained.steps, "path": str(trained.path), "run": trained.run}
        processes().tell(DONE, {**file, **told})


def tell_failure(error: BaseException) -> None:
    """As process 0: say that the run has ended without a result, to those that listen."""
    if processes().count > 1 and not isinstance(error, PeerLostError):
        with contextlib.suppress(PeerLostError):
            processes().tell(BROKEN, str(error), within=SOON)


def follow(job: Job) -> Trained:
    """As another process: do a part of each step of the run that process 0 opens; what was trained, for a next stage.

    Raises:
        FollowedError: the run has ended and nothing follows it.
        PeerFailedError: process 0 has failed and says why.
        PeerLostError: a process is gone.
    """
    objective: Any = None
    held_out: Any = None
    while True:
        what, values = processes().hear()
        if what == BROKEN:
            raise PeerFailedError(f"process 0 has ended the run: {values}")
        if what == DONE:
            return _result(job, values)
        objective = objective or job.make_objective()
        held_out = held_out or (None if job.make_validation is None else job.make_validation())
        try:
            _do_steps(job, objective, held_out, values)
        except Exception as error:
            if not is_out_of_memory(error) or processes().splits:
                raise
            log.info("out of memory: process 0 decides how the run goes on")


def _result(job: Job, values: dict[str, Any]) -> Trained:
    if job.stage is None or not job.stage.next:
        raise FollowedError
    file = LoraModel(values["tensors"], values["metadata"])
    return Trained(file, values["losses"], values["steps"], Path(values["path"]), values["run"])


def _do_steps(job: Job, objective: Any, held_out: Any, values: dict[str, Any]) -> None:
    config = TrainConfig.from_dict(values["config"])
    job, state = replace(job, config=config), TrainState()
    room = Fitting(job, objective).room(Way(config.checkpointing))

    def validate() -> None:
        with trainer.result_in_place():
            job.validation(held_out, session.predict, session.device)
        state.validation.append({"step": state.step})

    def after_step(step: int, _record: StepRecord) -> None:
        if held_out is not None and config.validate_every and step % config.validate_every == 0:
            validate()
        if processes().stops():
            raise Stopped

    def rewind() -> bool:
        what, found = processes().hear()
        if what == REWIND and found is not None:
            restore(trainer, state, found)
        return what == REWIND and found is not None

    with job.kind.open(job.model, config, room=room) as session:
        parameters = session.trained.parameters()
        trainer = Trainer(objective, session.predict, parameters, config, session.loss_scale, session.trained.names)
        restore(trainer, state, values)
        if held_out is not None and not state.validation:
            validate()
        run_steps(trainer, state, after_step, rewind)
        if held_out is not None and state.validation[-1]["step"] != state.step:
            validate()
