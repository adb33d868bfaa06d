"""What has been trained, by name: finished files and runs below the host's output folder, and no path."""

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
    """Groups of names, the newest first: ``title``, ``names``, and ``more``, how many are not shown."""
    folders = {
        "LoRAs": lora_output_folder(),
        "AICL adapters": aicl_output_folder(),
        "Tune-A-Video": tune_a_video_output_folder(),
    }
    groups = {title: list(finished_files(folder)) for title, folder in folders.items()}
    groups["Runs"] = [run["name"] for run in run_list() if run["state"] == FINISHED]
    return [
        {"title": title, "names": names[:SHOWN], "more": max(0, len(names) - SHOWN)} for title, names in groups.items()
    ]


def finished_files(folder: Path) -> Iterator[str]:
    """Names, without folder and ending, of the files of finished runs below a folder, the newest first."""
    for path in _newest(folder):
        try:
            record = from_metadata(read_metadata(path))
        except (OSError, ValueError):  # deleted meanwhile, or nothing of ours
            continue
        if record and record.get("finished", "true") == "true":
            yield path.stem


def _newest(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob(f"*{SUFFIX}"):
        try:
            found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(found, key=lambda pair: pair[0], reverse=True)[:SEARCHED]]
