"""The table of a data set's clips, for the node that shows it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ....training.data.dataset import Dataset
from ....training.data.report_table import report_table
from .folders import cache_folder

log = logging.getLogger(__name__)

TABLE = "fewshot_dataset"  # key of what the node tells its page
PICTURES = "fewshot_clips"  # folder of small pictures below the host's temp folder, which it empties at its start


def table_of(dataset: Dataset) -> dict[str, Any]:
    """``TABLE`` and its JSON, for a node's ``ui``; a data set of a folder has one, others have none."""
    import folder_paths

    if not dataset.checks:
        return {}
    folder = Path(folder_paths.get_temp_directory()) / PICTURES
    try:
        table = report_table(dataset, folder, _address, cache_folder() / "pictures")
    except OSError as error:
        log.warning("the table of clips is not shown: its pictures cannot be saved in %s (%s)", folder, error.strerror)
        return {}
    return {TABLE: [json.dumps(table)]}


def _address(path: Path) -> dict[str, str]:
    return {"filename": path.name, "subfolder": PICTURES, "type": "temp"}
