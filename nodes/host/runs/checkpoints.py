"""The run whose checkpoints are asked for: by its name, by a file that it made, or the newest."""

from __future__ import annotations

import re
from pathlib import Path

from ....training.lora.file import SUFFIX
from ....training.runs.checkpoints import METHODS, Checkpoint, checkpoints_of, run_of_file
from ....training.runs.folder import RunFolder, check_run_name
from ..services.folders import lora_output_folder, model_folders
from .live_runs import run_folder, run_folders
from .opening import runs_folder

NAMED = 8  # runs that a sentence names


def run_checkpoints(name: str) -> tuple[RunFolder, list[Checkpoint]]:
    """A run and its checkpoints by their steps.

    Args:
        name: The run's name, or where a train node saved a LoRA; empty: the newest run that made one.

    Raises:
        ValueError: there is no such run, or it has no checkpoint.
    """
    run = _run(name.strip())
    plain = lora_output_folder() / re.sub(r"_\d{5,}$", "", run.name)  # of a run without a name its files have another
    files = [path for folder in {lora_output_folder() / run.name, plain} for path in sorted(folder.glob(f"*{SUFFIX}"))]
    found = checkpoints_of(run, files)
    if not found:
        raise ValueError(f"the run {run.name} has no checkpoint yet; train some steps, or name another run")
    return run, found


def checkpoints_stamp(name: str) -> str:
    """Text that changes when a run has got further, so that the host runs a node again."""
    try:
        run, found = run_checkpoints(name)
    except (OSError, ValueError) as error:
        return str(error)
    return repr((run.id, [checkpoint.steps for checkpoint in found]))


def _run(name: str) -> RunFolder:
    if not name:
        return _newest()
    if name.lower().endswith(SUFFIX):
        return _of_file(Path(name))
    check_run_name(name)
    run = RunFolder(runs_folder() / name)
    if not run.path.is_dir() or not run.read():
        raise ValueError(f"there is no run {name!r}; {_known()}")
    return run


def _newest() -> RunFolder:
    for path in run_folders():
        run = RunFolder(path)
        try:
            if run.read() and run.record["identity"].get("method") in METHODS:
                return run
        except ValueError:  # one that is damaged is not asked for
            continue
    raise ValueError("there is no run that made a LoRA yet; train one first")


def _of_file(path: Path) -> RunFolder:
    """The run that made a LoRA of the host's folders; no other file is looked at."""
    resolved = path.resolve()
    if not any(resolved.is_relative_to(folder.resolve()) for folder in model_folders("loras")):
        raise ValueError(f"{path.name} lies in no folder of LoRAs; give the run's name")
    folder = run_folder(run_of_file(resolved))
    run = RunFolder(folder) if folder is not None else None
    if run is None or not run.read():
        raise ValueError(f"no run is known that made {path.name}; give the run's name: {_known()}")
    return run


def _known() -> str:
    names = [path.name for path in run_folders()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"runs are {', '.join(names[:NAMED])}{more}" if names else "no run is there yet, train one first"
