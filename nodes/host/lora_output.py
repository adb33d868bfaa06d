"""Where a trained LoRA lands: the host's ``output/loras``, found again there, or the temp folder if need be."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...training.cache import write_atomically
from ...training.lora_file import LoraModel, load_lora, read_metadata, save_lora, unique_path
from ...training.lora_metadata import from_metadata
from .folders import lora_output_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedLora:
    """A LoRA and how it came to be."""

    lora: LoraModel
    losses: list[float]
    steps: int
    path: Path


def run_folder(run_name: str) -> Path:
    """Folder of a run's LoRAs below the host's ``output/loras``.

    Raises:
        ValueError: the name could lead elsewhere.
    """
    if not re.fullmatch(r"\w[\w .+-]*", run_name) or run_name.endswith((".", " ")):
        raise ValueError(f"the run name {run_name!r} cannot name a folder; use letters, digits, spaces, dots, _ and -")
    return lora_output_folder() / run_name


def find_finished(folder: Path, key: str) -> TrainedLora | None:
    """The finished run of a folder with this key, or None."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            record = from_metadata(read_metadata(path))
            if record.get("run_key") != key or record.get("finished") != "true":
                continue
            history = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return TrainedLora(load_lora(path), history["loss"], int(record["steps"]), path)
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s cannot be used again (%s)", path.name, error)
    return None


def write_somewhere(lora: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write a LoRA and its history to a folder, or to the host's temp folder where that fails, and say so.

    Raises:
        RuntimeError: neither could be written.
    """
    import folder_paths

    try:
        return _write(lora, history, folder, name)
    except (OSError, RuntimeError) as error:
        spare = Path(folder_paths.get_temp_directory()) / "loras"
        try:
            path = _write(lora, history, spare, name)
        except (OSError, RuntimeError) as second:
            raise RuntimeError(
                f"the LoRA could be saved neither in {folder} ({error}) nor in {spare} ({second}); "
                "free some space or allow writing there, then train again"
            ) from error
        log.warning(
            "the LoRA could not be saved in %s (%s); it is in %s, move it before ComfyUI restarts and empties "
            "that folder",
            folder,
            error,
            path,
        )
        return path


def write_best(lora: LoraModel, path: Path) -> None:
    """Write a LoRA over the one that was the best before.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.torch import save

    write_atomically(path, save({key: value.contiguous() for key, value in lora.items()}, lora.metadata))


def _write(lora: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write loss history and LoRA, in this order: a LoRA that exists is complete. Both or none."""
    path = unique_path(folder, name)
    beside = path.with_suffix(".json")
    write_atomically(beside, json.dumps(history).encode())
    try:
        return save_lora(lora, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
