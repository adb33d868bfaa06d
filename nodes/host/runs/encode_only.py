"""A run of which the cache is filled and nothing is trained: ``train.py RUN --encode-only``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ....training.lora.file import LoraModel
from ....training.runs.folder import RunFolder
from .opening import runs_folder
from .output import Trained
from .portable import keep_portable

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)


class OnlyEncodedError(Exception):
    """The cache holds all of a run's data, and nothing more was asked for."""


def encode(job: Job) -> Trained:
    """Fill the cache, and note the keys by which it is found: on another machine other libraries may decode.

    Raises:
        OnlyEncodedError: that was the last run of the node. An empty result stands for one that another follows.
    """
    data = job.make_objective()
    if job.make_validation is not None:
        job.make_validation()
    folder = RunFolder(runs_folder() / job.name)
    if job.name and folder.path.is_dir():
        keep_portable(folder, job)
    log.info("%s: %d clips are in the cache", job.file_name, data.size)
    if job.stage is None or not job.stage.next:
        raise OnlyEncodedError
    return Trained(LoraModel({}), [], 0, Path())
