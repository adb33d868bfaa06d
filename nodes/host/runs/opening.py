"""Which run is asked for: a new one, one that goes on, or one that must not be touched."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....training.core.config import EXPERTS, TrainConfig
from ....training.runs.changes import REFUSE, START_OVER, changed_identity, changed_settings, refuse_changes
from ....training.runs.folder import FINISHED, RECORD, DamagedRecordError, RunFolder, check_run_name, free_name
from ....training.runs.lock import RunInUseError, locked_run
from ....training.storage.json_text import read_json
from ..services.folders import output_folder

log = logging.getLogger(__name__)


def runs_folder() -> Path:
    """Where the runs of training lie: ``fewshot_video/runs`` below the host's output folder."""
    return output_folder() / "runs"


def runs_stamp(name: str) -> str:
    """How far the runs of a name are, one for each expert: the host runs a node again when it changes, as by a stop."""
    found = []
    for ending in ("", *(f"_{expert.replace(' ', '_')}" for expert in EXPERTS)) if name else ():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = read_json(runs_folder() / f"{name}{ending}" / RECORD)
            found.append((record["id"], record["state"], record["step"]))
    return repr(found)


@dataclass(frozen=True)
class OpenedRun:
    """A run to train in."""

    folder: RunFolder
    values: dict[str, Any] | None = None  # the state it goes on from; None: from step 0
    accepted: list[str] = field(default_factory=list)  # what was changed on the way, in this session or before

    @property
    def done(self) -> int:
        """Steps it has done."""
        return self.values["train"]["step"] if self.values else 0


@contextlib.contextmanager
def opened_run(
    name: str,
    unnamed: str,
    config: TrainConfig,
    identity: dict[str, Any],
    on_change: str = REFUSE,
    former: Mapping[str, str] | None = None,
) -> Iterator[OpenedRun]:
    """The run that is asked for, its folder locked against other processes while the body goes on.

    Nothing is written, but a run that starts over is renamed.

    Args:
        name: The run's, or empty for a new one.
        unnamed: What a new one is called, with a number.
        config: The settings.
        identity: Plain values and digests that tell data, model and method apart.
        on_change: ``refuse``, ``accept`` or ``start over``, where settings or identity are not the run's.
        former: What parts of the identity were called by older versions.

    Raises:
        ValueError: the name cannot name a folder, the settings have changed and may not, the folder is foreign, no
            checkpoint can be read, or another ComfyUI trains the run.
        RuntimeError: the old run cannot be set aside, or a checkpoint cannot be read now.
    """
    if name:
        check_run_name(name)
    else:
        _tell_unfinished(unnamed, config, identity)
    with contextlib.ExitStack() as stack:
        folder = _locked_folder(stack, name, unnamed)
        yield _open(RunFolder(folder), config, identity, on_change, former or {})


def _locked_folder(stack: contextlib.ExitStack, name: str, unnamed: str) -> Path:
    """The run's folder, locked; for a new run the first whose number no other process has taken meanwhile."""
    while True:
        folder = runs_folder() / (name or free_name(runs_folder(), unnamed))
        try:
            stack.enter_context(locked_run(folder))
        except RunInUseError:
            if name:
                raise
        else:
            return folder


def _open(
    run: RunFolder, config: TrainConfig, identity: dict[str, Any], on_change: str, former: Mapping[str, str]
) -> OpenedRun:
    try:
        if not run.read():
            return OpenedRun(run)
    except DamagedRecordError as error:
        if on_change != START_OVER:
            raise ValueError(f'{error}, or set on_change to "{START_OVER}"') from error
        return _started_over(run, ["its record cannot be used"])
    opened = OpenedRun(run, _state_of(run, on_change), run.record.get("accepted", []))
    changes = changed_identity(run.record["identity"], identity, former)
    changes += changed_settings(run.record["config"], config.to_dict(), opened.done)
    damaged = opened.values is None and bool(run.states())  # left in place they would outrank the new ones
    if changes and not (opened.done or damaged or run.record.get("step")):
        return _begun_anew(run, changes)
    if on_change == START_OVER and (changes or damaged):
        return _started_over(run, changes or ["no checkpoint can be read"])
    if changes and on_change == REFUSE:
        refuse_changes(run.name, opened.done, changes)
    if opened.done > config.steps:
        raise ValueError(
            f"the run {run.name} has done {opened.done} steps, {config.steps} are asked for; ask for more, or give "
            "another run_name"
        )
    if changes:
        log.warning("the run %s goes on from step %d with %s", run.name, opened.done, ", ".join(changes))
    changes += _other_schedule(run.record["config"], config)
    return OpenedRun(run, opened.values, [*opened.accepted, *(f"{entry} at step {opened.done}" for entry in changes)])


def _other_schedule(before: dict[str, Any], config: TrainConfig) -> list[str]:
    """A longer run is another one where the learning rate depends on the length."""
    same = before.get("steps") == config.steps or config.lr_schedule == "constant"
    return [] if same else [f"steps {before.get('steps')} → {config.steps}"]


def _state_of(run: RunFolder, on_change: str) -> dict[str, Any] | None:
    values = run.load()
    if values is None and run.states() and on_change != START_OVER:
        raise ValueError(
            f'no checkpoint of the run {run.name} can be read; set on_change to "{START_OVER}" or give another run_name'
        )
    return values


def _started_over(run: RunFolder, changes: list[str]) -> OpenedRun:
    try:
        aside = run.set_aside()
    except OSError as error:
        raise RuntimeError(
            f"the old run {run.name} cannot be set aside ({error.strerror or error}); close what holds its folder, or "
            "give another run_name"
        ) from error
    log.warning("the run %s starts over (%s); the old one is kept as %s", run.name, ", ".join(changes), aside.name)
    return OpenedRun(RunFolder(run.path))


def _begun_anew(run: RunFolder, changes: list[str]) -> OpenedRun:
    """A run that stopped before its first step has nothing that other settings could spoil."""
    log.info("the run %s had done no step; it begins with %s", run.name, ", ".join(changes))
    run.forget_after(-1)
    return OpenedRun(run)


def _tell_unfinished(unnamed: str, config: TrainConfig, identity: dict[str, Any]) -> None:
    """Log the name of an unfinished run of the same settings: it could have gone on."""
    for path in sorted(runs_folder().glob(f"{unnamed}_*/{RECORD}")):
        try:
            record = read_json(path)
            same = record["identity"] == identity and not changed_settings(record["config"], config.to_dict(), 0)
            step, state = record["step"], record["state"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if same and step and state != FINISHED:
            log.warning(
                "the run %s has the same settings and stands at step %d; give this name as run_name to go on with it",
                path.parent.name, step,
            )  # fmt: skip
