"""The appearance LoRA of one-shot motion: put on the model for the second stage, found again, or stood in for."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import torch

from ....training.core.methods import APPEARANCE
from ....training.core.optimizers import with_installed_optimizer
from ....training.lora.file import LoraModel, load_lora, read_metadata
from ....training.lora.metadata import from_metadata, plain_value, to_metadata
from ....training.runs.changes import changed_settings
from ....training.runs.folder import RunFolder
from ....training.storage.json_text import read_json
from ..model.fingerprint import model_fingerprint
from ..model.lora_patches import find_patches
from ..runs.job import Job
from ..runs.opening import runs_folder
from ..runs.output import Trained

log = logging.getLogger(__name__)


def with_lora(model: Any, lora: LoraModel) -> Any:
    """A clone with a LoRA that was just trained on the model; the model itself where the LoRA is empty."""
    if not lora:
        return model
    found = find_patches(model, lora)
    if found.missing:
        raise RuntimeError(f"{len(found.missing)} layers of the appearance LoRA are not in the model it was trained on")
    clone = model.clone()
    clone.add_patches(found.by_weight, 1.0)
    return clone


def known_appearance(job: Job, motion_run: str) -> Trained | None:
    """The LoRA that the motion run of a name was begun on, where it is what the appearance stage's ``job`` asks for.

    That stage may have been stopped early, which is meant to stay so, or have a name that this one does not tell.
    """
    run = RunFolder(runs_folder() / motion_run)
    try:
        begun_on = run.record["identity"] if motion_run and run.read() else {}
    except ValueError:  # a folder of something else, which the motion stage will refuse
        return None
    if not begun_on.get("appearance"):
        return None
    for path in sorted(job.kind.folder().glob("*/*.safetensors")):
        found = _appearance_of(path, job)
        if found is None or digest_of(found.file) != begun_on["appearance"]:
            continue
        if model_fingerprint(with_lora(job.model.model, found.file)) == begun_on.get("model"):
            log.info("the motion run %s was begun on %s, which is taken as it is", motion_run, path.name)
            return found
    return None


def _appearance_of(path: Path, job: Job) -> Trained | None:
    """An appearance LoRA of these settings and clips, whether its run was finished or not; None for another file."""
    try:
        record = from_metadata(read_metadata(path))
        before, after = plain_value(record, "config"), with_installed_optimizer(job.config)[0].to_dict()
        clips = record.get("dataset_hash") == job.identity["training clips"]
        if plain_value(record, "method") != APPEARANCE or not clips or before["steps"] != after["steps"]:
            return None
        if changed_settings(before, after, 0):
            return None
        history = read_json(path.with_suffix(".json"))
        return Trained(load_lora(path), history["loss"], int(record["steps"]), path, str(history.get("run", "")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be used again (%s)", path.name, error)
        return None


def no_lora() -> LoraModel:
    """What stands for the appearance LoRA where that stage was left out: it changes nothing and says so."""
    return LoraModel({}, to_metadata({"method": json.dumps(APPEARANCE), "steps": "0"}))


def digest_of(lora: LoraModel) -> str:
    """Of all bytes of a LoRA; empty for none."""
    digest = hashlib.sha256()
    for key in sorted(lora):
        digest.update(key.encode() + lora[key].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if lora else ""
