"""A run that several processes share, as those see it that do not lead: prepared alike, and nothing is written."""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....training.core.config import TrainConfig
from ....training.core.loop import Stopped, run_steps
from ....training.core.placement import Way
from ....training.core.state import StepRecord, TrainState
from ....training.core.trainer import Trainer
from ....training.distributed.exchange import agree, agreed
from ....training.distributed.processes import processes
from ....training.lora.file import LoraModel
from ....training.lora.metadata import PACK_VERSION
from ....training.runs.changes import changed_identity
from ....training.runs.run import REWIND, Run, restore, validation_lacks
from ..session.memory_use import free_memory, is_out_of_memory
from ..session.session import Session
from .compiled_run import follow_blocks
from .fitting import Fitting
from .output import Trained

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)

TRAIN, DONE = "train", "done"  # what process 0 tells


class FollowedError(Exception):
    """The run has ended, and so has this process's part: process 0 goes on with what was trained."""


def tell_start(run: Run, identity: dict[str, Any], way: Way, compiled: bool) -> None:
    """As process 0: let the others begin, or go on, where the run stands, and wait until they are ready.

    Args:
        run: It has its state.
        identity: All that decides the result, but the settings; the others must have the same.
        way: How it is fitted into memory.
        compiled: Whether its blocks are compiled here; where they are not, nobody compiles them.

    Raises:
        MemoryError, PeerFailedError: another process could not prepare the model, or has another one.
        PeerLostError: a process is gone.
    """
    if processes().count == 1:
        return
    most = None if math.isinf(way.most) else way.most
    same = {"identity": identity, "version": PACK_VERSION, "compiled": compiled}
    processes().tell(TRAIN, {"config": run.trainer.config.to_dict(), "most": most, **same, **run.values()})
    processes().apart = False
    agree(processes())


def tell_end(trained: Trained) -> None:
    """As process 0: say what came of the run."""
    if processes().count > 1:
        file = {"tensors": dict(trained.file), "metadata": dict(trained.file.metadata)}
        told = {"losses": trained.losses, "steps": trained.steps, "path": str(trained.path), "run": trained.run}
        processes().tell(DONE, {**file, **told})


def follow(job: Job) -> Trained:
    """As another process: do a part of each step of the run that process 0 opens; what was trained, for a next stage.

    Raises:
        FollowedError: the run has ended and nothing follows it.
        PeerFailedError: process 0 has failed and says why.
        PeerLostError: a process is gone.
        ValueError: this process would train something else than process 0.
    """
    part = _Part(job)
    while True:
        what, values = processes().hear()
        if what == DONE:
            return _result(job, values)
        processes().apart = False
        try:
            part.do(values)
        except Exception as error:
            if not is_out_of_memory(error) or processes().splits or not processes().apart:
                raise
            log.warning("%s; process 0 decides how the run goes on", error)
        free_memory()


def check_same(job: Job, told: dict[str, Any]) -> None:
    """Refuse to share a run with a process 0 that has another version of the pack, or trains something else.

    Raises:
        ValueError: it does.
    """
    rank = processes().rank
    if told["version"] != PACK_VERSION:
        raise ValueError(
            f"process {rank} has version {PACK_VERSION} of FewShot Video and process 0 has {told['version']}; install "
            "the same on all machines"
        )
    others = changed_identity(told["identity"], job.whole_identity())
    if others:
        raise ValueError(
            f"process {rank} differs from process 0 in {', '.join(others)}; put the same model files, ComfyUI and "
            "cache on all machines"
        )


def _result(job: Job, values: dict[str, Any]) -> Trained:
    if job.stage is None or not job.stage.next:
        raise FollowedError
    file = LoraModel(values["tensors"], values["metadata"])
    return Trained(file, values["losses"], values["steps"], Path(values["path"]), values["run"])


class _Part:
    """The part of one run that this process does; its data are kept from one attempt to the next."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.objective: Any = None
        self.held_out: Any = None

    def do(self, values: dict[str, Any]) -> None:
        """Prepare the model as process 0 does, take the state it tells, and do the steps that are left."""
        config, state = TrainConfig.from_dict(values["config"]), TrainState()
        with contextlib.ExitStack() as stack:
            with agreed(processes()):
                check_same(self.job, values)
                self._make_data()
                most = math.inf if values["most"] is None else values["most"]
                way = Way(config.checkpointing, most, config.kept_blocks)
                session = stack.enter_context(self._open(config, way))
                trainer = Trainer(
                    self.objective, session.predict, session.trained.parameters(), config, session.loss_scale,
                    session.trained.names,
                )  # fmt: skip
                restore(trainer, state, values)
                follow_blocks(trainer, state, session, values["compiled"])
            self._go(trainer, state, session)

    def _make_data(self) -> None:
        self.objective = self.objective or self.job.make_objective()
        if self.job.make_validation is not None:
            self.held_out = self.held_out or self.job.make_validation()

    def _open(self, config: TrainConfig, way: Way) -> Any:
        job = replace(self.job, config=config)
        return job.kind.open(job.model, config, room=Fitting(job, self.objective).room(way))

    def _go(self, trainer: Trainer, state: TrainState, session: Session) -> None:
        """The steps, with a validation wherever process 0 has one."""
        every = trainer.config.validate_every

        def validate() -> None:
            with trainer.result_in_place():
                self.job.validation(self.held_out, session.predict, session.device)
            state.validation.append({"step": state.step})

        def after_step(step: int, _record: StepRecord) -> None:
            if self.held_out is not None and every and step % every == 0:
                validate()
            if processes().stops():
                raise Stopped

        def rewind() -> bool:
            what, found = processes().hear()
            if what == REWIND and found is not None:
                restore(trainer, state, found)
            return what == REWIND and found is not None

        if self.held_out is not None and validation_lacks(state, every):
            validate()
        run_steps(trainer, state, after_step, rewind)
        if self.held_out is not None and state.validation[-1]["step"] != state.step:
            validate()
