"""Where what a run has trained lands: below the host's output folder, or in its temp folder if need be."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....training.lora.file import LoraModel, load_lora, read_metadata, save_lora, unique_path
from ....training.lora.metadata import from_metadata
from ....training.storage.atomic import save_tensors, write_atomically
from .kinds import RunKind

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


def find_finished(folder: Path, key: str) -> Trained | None:
    """The finished run of a folder with this key, or None."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            record = from_metadata(read_metadata(path))
            if record.get("run_key") != key or record.get("finished") != "true":
                continue
            history = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return Trained(load_lora(path), history["loss"], int(record["steps"]), path, str(history.get("run", "")))
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s cannot be used again (%s)", path.name, error)
    return None


def write_somewhere(kind: RunKind, file: LoraModel, history: dict[str, Any], run_name: str, name: str) -> Path:
    """Write a file and its history to its run's folder, or to the host's temp folder where that fails, and say so.

    Raises:
        RuntimeError: neither could be written.
    """
    import folder_paths

    folder = kind.files(run_name)
    try:
        return _write(file, history, folder, name)
    except (OSError, RuntimeError) as error:
        spare = Path(folder_paths.get_temp_directory()) / kind.folder().name
        try:
            path = _write(file, history, spare, name)
        except (OSError, RuntimeError) as second:
            raise RuntimeError(
                f"the {kind.noun} could be saved neither in {folder} ({error}) nor in {spare} ({second}); "
                "free some space or allow writing there, then train again"
            ) from error
        log.warning(
            "the %s could not be saved in %s (%s); it is in %s, move it before ComfyUI restarts and empties "
            "that folder",
            kind.noun,
            folder,
            error,
            path,
        )
        return path


def write_best(file: LoraModel, path: Path) -> None:
    """Write a file over the one that was the best before.

    Raises:
        OSError: it cannot be written.
    """
    save_tensors(path, file, file.metadata)


def _write(file: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write loss history and file, in this order: a file that exists is complete. Both or none."""
    path = unique_path(folder, name)
    beside = path.with_suffix(".json")
    write_atomically(beside, json.dumps(history).encode())
    try:
        return save_lora(file, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
