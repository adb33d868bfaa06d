"""Whether the blocks of a run are compiled: tried before its first step, noted in its record, and kept to."""

from __future__ import annotations

import logging
from typing import Any

from ....training.core.state import TrainState
from ....training.core.step import clips_at_once
from ....training.core.trainer import Trainer
from ....training.distributed.processes import processes
from ....training.runs.run import Run
from ..session.session import Session
from .previews import Note

log = logging.getLogger(__name__)

COMPILED = "compiled"  # of the record: from which steps on the blocks were compiled, and from which they were not


def settle_blocks(run: Run, session: Session) -> None:
    """Try the compiler on a block where the run asks for it; a run that has gone on without it stays without it.

    The run has its state and has been told to have started: what is said goes to the log and the panel.
    """
    if not run.trainer.config.compile_blocks:
        return
    done = run.state.step
    before = [entry for entry in _entries(run.folder.record) if entry["step"] < done]
    if before and not before[-1]["blocks"] and session.blocks.compiled:
        session.blocks.leave()
        run.note("compiled", f"the blocks are not compiled: step {done} of this run was done without, and bytes differ")
    _try_out(run.trainer, run.state, session, run.note)
    if before and before[-1]["blocks"] and not session.blocks.compiled:
        run.note("compiled", f"the steps up to {done} were done with compiled blocks, those from here on are not")
    entry = {"step": done, "blocks": session.blocks.compiled}
    same = before and before[-1]["blocks"] == entry["blocks"]
    try:
        run.folder.note(**{COMPILED: before if same else [*before, entry]})
    except OSError as error:
        log.warning("whether the blocks of %s are compiled could not be noted (%s)", run.folder.name, error)


def follow_blocks(trainer: Trainer, state: TrainState, session: Session, compiled: bool) -> None:
    """The same as another process than the one that leads: it compiles nothing where that does not."""
    if not compiled:
        session.blocks.leave()
    _try_out(trainer, state, session, lambda _kind, text: log.warning("%s", text))


def _try_out(trainer: Trainer, state: TrainState, session: Session, note: Note) -> None:
    """Compile a block for the largest clips: the same ones wherever a run goes on, so that its bytes are, too."""
    if not session.blocks.compiled or state.step >= trainer.config.steps:
        return
    objective: Any = trainer.objective  # a ``ClipObjective``: others are not compiled
    session.blocks.compile_for(objective.shapes_vary())
    clips = clips_at_once(trainer.config)
    if processes().splits or not clips:  # in a forward pass of a split base the others would have to take part
        return

    def compute() -> None:
        batch = objective.largest_batch()
        part = batch if clips == trainer.config.batch_size else batch.part(range(clips))
        objective.loss(session.predict, part.to(trainer.parameters[0].device))

    reason = session.blocks.try_out(compute, trainer.parameters)
    if reason:
        note("compiled", f"the blocks are not compiled, the run goes on with them as they are: {reason}")


def _entries(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What a record says of it; what is no such entry does not count."""
    found = record.get(COMPILED)
    return [
        entry
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("step"), int) and isinstance(entry.get("blocks"), bool)
    ]
