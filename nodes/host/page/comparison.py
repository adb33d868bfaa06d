"""Settings of several runs side by side, from their records, and how far each came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....training.runs.changes import is_digest
from ....training.runs.folder import RECORD
from ....training.storage.json_text import read_json
from ....training.storage.private_paths import without_paths
from ..runs.live_runs import run_folder, run_table

MOST = 6  # runs
DIGITS, LONGEST = 8, 120  # characters of what stands for files, and of any text
ABSENT = "–"
# How far a run came, as the page knows it of every run: its own words and units are the page's.
OUTCOME = ("state", "step", "steps", "loss", "smoothed", "seconds_per_step", "peak_memory")


def compare(ids: Sequence[str]) -> dict[str, Any]:
    """``runs``, their names, ``outcomes``, how far each came, and ``rows``: ``name``, a text for each run, ``differ``.

    Settings that differ come first; of files there are the first digits of their digest, which says whether they are
    the same. An id is compared with those that are known; it never becomes part of a path.

    Raises:
        ValueError: a run is not known or its record cannot be read, or they are fewer than two or too many.
    """
    if not 2 <= len(ids) <= MOST:
        raise ValueError(f"{len(ids)} runs were chosen; choose 2 to {MOST} of the list")
    chosen = list(dict.fromkeys(ids))
    found = [_settings(run_id) for run_id in chosen]
    names = list(dict.fromkeys(name for _, values in found for name in values))
    rows = [{"name": name, "values": [values.get(name, ABSENT) for _, values in found]} for name in names]
    for row in rows:
        row["differ"] = len(set(row["values"])) > 1
    return {
        "runs": [name for name, _ in found],
        "outcomes": [_outcome(run_id) for run_id in chosen],
        "rows": sorted(rows, key=lambda row: not row["differ"]),
    }


def _settings(run_id: str) -> tuple[str, dict[str, str]]:
    """Name of a run, and its settings as texts by name."""
    folder = run_folder(run_id)
    if folder is None:
        raise ValueError("one of the runs is no longer there; open the list again")
    try:
        record = read_json(folder / RECORD)
        config, identity = (record[part].items() for part in ("config", "identity"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the record of the run {folder.name} cannot be read ({error}); leave it out") from error
    values = {**dict(config), **dict(identity)}
    return folder.name, {str(name)[:LONGEST]: _shown(value)[:LONGEST] for name, value in without_paths(values).items()}


def _outcome(run_id: str) -> dict[str, Any]:
    table = run_table(run_id) or {}
    return {name: table.get(name) for name in OUTCOME}


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if is_digest(value):
        return value[:DIGITS]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(entry) for entry in value)
    return str(value)
