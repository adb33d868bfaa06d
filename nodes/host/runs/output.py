"""Where what a run has trained lands: below the host's output folder, or where else it stays if need be."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....training.lora.file import SUFFIX, LoraModel, load_lora, read_metadata, save_lora, unique_path
from ....training.lora.metadata import from_metadata
from ....training.runs.folder import FINISHED, HISTORY, RECORD, RunFolder
from ....training.storage.atomic import write_new
from ....training.storage.json_text import read_json
from ....training.storage.tensor_file import save_tensors
from ..services.folders import PACK, model_files, model_folders
from .kinds import RunKind
from .opening import runs_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a run has trained and how it came to be."""

    file: LoraModel  # the tensors, with what is said of them
    losses: list[float]
    steps: int
    path: Path
    run: str = ""  # id of the run, for the routes; empty where it is not known

    @property
    def ui(self) -> dict[str, list[str]]:
        """What the page gets of it, also when the host has the node's result already."""
        return {"fewshot_run": [self.run]} if self.run else {}


def find_finished(kind: RunKind, name: str, key: str, runs: str) -> Trained | None:
    """The finished run with this key, also where its file was renamed or moved since; or None.

    A file without our history beside it takes that of the run's folder.

    Args:
        kind: What it has made.
        name: Of the file and its folder.
        key: Of the run.
        runs: Pattern of the names that the run's own folder may have.
    """
    done = _done_run(key, runs)
    there = sorted(kind.files(name).glob(f"*{SUFFIX}"))
    if done is not None:  # only where there is one to find all other files are looked at
        there += [path for path in (*model_files(kind.category), *sorted(done.glob(f"*{SUFFIX}"))) if path not in there]
    return next(filter(None, (_finished(path, key, done) for path in there)), None)


def _finished(path: Path, key: str, done: Path | None) -> Trained | None:
    """What a file holds, where it is that of the finished run with this key."""
    try:
        record = from_metadata(read_metadata(path))
        if record.get("run_key") != key or record.get("finished") != "true":
            return None
        beside = path.with_suffix(".json")
        history = read_json(beside if beside.is_file() or done is None else done / HISTORY)
        return Trained(load_lora(path), history["loss"], int(record["steps"]), path, str(history.get("run", "")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be used again (%s)", path.name, error)
        return None


def _done_run(key: str, runs: str) -> Path | None:
    """The folder of a finished run with this key, or None."""
    for path in sorted(runs_folder().glob(f"{runs}/{RECORD}")):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            record = read_json(path)
            if record.get("key") == key and record.get("state") == FINISHED:
                return path.parent
    return None


def write_somewhere(
    kind: RunKind, file: LoraModel, history: dict[str, Any], run: RunFolder, name: str, file_name: str = ""
) -> tuple[Path, str]:
    """Write a file and its history to the folder of its name, or where else it stays; with a sentence where it is not.

    Then it goes to the run's own folder, into the host's models, or to the user's folder of the host. Its temp folder,
    which is emptied at every start, is the last.

    Raises:
        RuntimeError: it could be written nowhere.
    """
    import folder_paths

    temp, failures = Path(folder_paths.get_temp_directory()), []
    spare = [run.path] if (run.path / RECORD).is_file() else []
    spare += [folder for folder in model_folders(kind.category) if folder.is_dir()]
    spare += [Path(folder_paths.get_user_directory()) / PACK, temp / kind.folder().name]
    for folder in dict.fromkeys([kind.files(name), *spare]):
        try:
            path = _write(file, history, folder, file_name or name)
        except (OSError, RuntimeError) as error:
            failures.append(f"{folder} ({error})")
            continue
        return path, _elsewhere(kind, path, failures, path.is_relative_to(temp))
    raise RuntimeError(
        f"the {kind.noun} could be saved neither in {', nor in '.join(failures)}; free some space or allow writing "
        "there, then train again"
    )


def _elsewhere(kind: RunKind, path: Path, failures: list[str], emptied: bool) -> str:
    """The sentence about a file that is not where it belongs."""
    if not failures:
        return ""
    then = "; move it before ComfyUI restarts and empties that folder" if emptied else ""
    return f"the {kind.noun} could not be saved in {failures[0]}; it is in {path}{then}"


def write_best(file: LoraModel, path: Path) -> None:
    """Write a file over the one that was the best before.

    Raises:
        OSError: it cannot be written.
    """
    save_tensors(path, file, file.metadata)


def _write(file: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write loss history and file, in this order: a file that exists is complete. Both or none."""
    while True:
        path = unique_path(folder, name)
        beside = path.with_suffix(".json")
        with contextlib.suppress(FileExistsError):  # another process was faster
            write_new(beside, json.dumps(history).encode())
            try:
                return save_lora(file, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise
