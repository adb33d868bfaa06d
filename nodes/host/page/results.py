"""What has been trained, by name: files and runs below the host's output folder, those stopped too, and no path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....training.lora.file import SUFFIX, read_metadata
from ....training.lora.metadata import from_metadata
from ....training.runs.folder import FINISHED
from ..runs.live_runs import run_list
from ..services.folders import aicl_output_folder, lora_output_folder, tune_a_video_output_folder

SHOWN = 100  # names of a group, the newest ones
SEARCHED = 1000  # files that are looked into


def results() -> list[dict[str, Any]]:
    """Groups of names, the newest first: ``title``, ``names``, and ``more``, how many are not shown.

    ``stopped`` are those of the names whose run has not come to its end; ``runs`` are the ids of runs, by place.
    """
    folders = {
        "LoRAs": lora_output_folder(),
        "AICL adapters": aicl_output_folder(),
        "Tune-A-Video": tune_a_video_output_folder(),
    }
    groups = [_group(title, list(trained_files(folder))) for title, folder in folders.items()]
    runs = run_list()
    listed = _group("Runs", [(run["name"], run["state"] == FINISHED) for run in runs])
    return [*groups, {**listed, "runs": [run["run"] for run in runs[:SHOWN]]}]


def _group(title: str, found: list[tuple[str, bool]]) -> dict[str, Any]:
    shown = found[:SHOWN]
    stopped = [name for name, finished in shown if not finished]
    return {"title": title, "names": [name for name, _ in shown], "stopped": stopped, "more": len(found) - len(shown)}


def trained_files(folder: Path) -> Iterator[tuple[str, bool]]:
    """Names, without folder and ending, of our files below a folder, the newest first; whether their runs ended."""
    for path in _newest(folder):
        try:
            record = from_metadata(read_metadata(path))
        except (OSError, ValueError):  # deleted meanwhile, or nothing of ours
            continue
        if record:
            yield path.stem, record.get("finished", "true") == "true"


def _newest(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob(f"*{SUFFIX}"):
        try:
            found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(found, key=lambda pair: pair[0], reverse=True)[:SEARCHED]]
