"""How a run ends before its time: what is kept, what is said, and whether it is tried again with less memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ....training.core.loop import Cancelled
from ....training.core.placement import Way, leaner_way
from ....training.core.plan import MORE_HELP
from ....training.distributed.processes import processes
from ....training.runs.folder import CANCELLED, FAILED, RUNNING, RunFolder
from ....training.runs.monitor import Monitors
from ....training.runs.run import Run
from ..session.memory_use import is_out_of_memory
from ..session.placement import Placed, has_own_memory
from .fitting import in_words
from .saving import Saver

log = logging.getLogger(__name__)


def next_way(way: Way, placed: Placed, run: Run, stop: BaseException) -> Way | None:
    """A way that needs less memory, where that ran out and the steps done are saved; else None."""
    if not is_out_of_memory(stop) or processes().splits:  # then the others are lost in the middle of a forward
        return None
    if not processes().apart:  # the others do not know of it, and wait for this process
        return None
    leaner = leaner_way(way, placed.resident, placed.lent, has_own_memory(placed.device))
    if leaner is None or (run.state.step and run.save() is None):
        return None
    at = f"after {run.state.step} steps; it goes on from there with {in_words(leaner)}"
    run.note("memory", f"the run ran out of memory {at}")
    return leaner


def keep_steps(run: Run, saver: Saver, stop: BaseException) -> None:
    """Save a run that stopped; what stopped it matters more than a failure to save, which is logged."""
    step, where, resumable = run.state.step, None, False
    if run.state.losses:
        resumable = run.save() is not None
        try:
            where = saver.save(finished=False).path
        except Exception as error:  # what stopped the run matters more
            log.error("the run stopped after %d steps and %s", step, error)
    text = f"the run stopped after {step} steps"
    advice = f"try {MORE_HELP}" if is_out_of_memory(stop) else ""
    if where is not None:
        text += f"; they are kept in {where}"
        text += f", and run_name {run.folder.name} goes on from there" if resumable else ""
        log.warning("%s", text)
    _say_more(stop, [text if where is not None else "", advice])
    end_run(run, FAILED if isinstance(stop, Exception) and not isinstance(stop, Cancelled) else CANCELLED, text, where)


def _say_more(stop: BaseException, texts: Sequence[str]) -> None:
    """Add to an error's sentence where the steps are kept; the host shows nothing but that sentence."""
    plain = isinstance(stop, (RuntimeError, ValueError)) and len(stop.args) == 1 and isinstance(stop.args[0], str)
    if plain and any(texts):
        stop.args = ("; ".join([stop.args[0], *filter(None, texts)]),)


def close_record(folder: RunFolder, monitors: Monitors | None, error: BaseException) -> None:
    """Note that a run failed before its steps began, or began again; ``monitors`` are those that saw it start."""
    if folder.record.get("state") != RUNNING:
        return
    _note_end(folder, state=FAILED)
    if monitors is not None:
        monitors.ended(FAILED, f"the run could not go on ({error})")


def end_run(run: Run, state: str, text: str, path: Path | None, key: str = "") -> None:
    """Write how the run ended, and tell it; ``key`` is by what a finished one is found again."""
    _note_end(run.folder, state=state, key=key, lora="" if path is None else f"{path.parent.name}/{path.name}")
    run.monitors.ended(state, text)


def _note_end(folder: RunFolder, **values: str) -> None:
    try:
        folder.note(**values)
    except OSError as error:
        log.warning("the end of the run %s could not be noted (%s)", folder.name, error)
