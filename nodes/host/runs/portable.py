"""A run's folder says how the run is trained outside the graph."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ....training.runs.folder import RunFolder
from ....training.runs.portable import FILE, portable_run
from ....training.storage.json_text import parse_json
from .events import executing_node

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)


def keep_portable(folder: RunFolder, job: Job) -> None:
    """Write the nodes that lead to the run's, and the keys of its data, into its folder.

    With ``--disable-metadata`` nobody wants the graph in files, and there is none of a run that no node has begun.

    Raises:
        OSError: the file cannot be written.
    """
    prompt, node = parse_json(job.workflow.get("prompt", "{}")), executing_node()
    if not prompt or not node:
        return
    try:
        portable_run(folder.name, prompt, node, job.sets).write(folder.path)
    except ValueError as error:
        log.info("%s is not written: %s, so the run is trained in the graph alone", FILE, error)
