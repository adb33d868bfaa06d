"""LoRA files in the host: offered, applied to a model, saved on request."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from ....training.lora.convert import convert_lora
from ....training.lora.file import SUFFIX, LoraModel, load_lora, save_numbered
from ....training.lora.keys import describe_layers, some
from ....training.lora.metadata import from_metadata
from ....training.lora.sidecar import config_beside, with_config_beside
from ....training.runs.folder import check_length
from ....training.runs.record import run_record
from ....training.tic_ft.layout import settings_from_record, unlabelled_settings
from ..services.folders import lora_output_folder, model_names, register_lora_output
from ..services.node_text import show_text
from .experts import mark_expert
from .fingerprint import check_patch, describe_base
from .lora_patches import find_patches
from .noise import LoadedModel, loaded_model

log = logging.getLogger(__name__)


def lora_names() -> list[str]:
    """The safetensors files the host offers in ``loras``, ours included."""
    return model_names("loras")


def read_lora(name: str) -> LoraModel:
    """A LoRA of the host's ``loras`` folders, in the keys it was saved with.

    Raises:
        ValueError: there is no such file, or it is not safetensors.
    """
    import folder_paths

    path = folder_paths.get_full_path("loras", name)
    if path is None or not name.lower().endswith(SUFFIX):
        raise ValueError(f"there is no LoRA {name!r} in safetensors form; refresh the list and choose another")
    lora = load_lora(Path(path))
    return LoraModel(lora, with_config_beside(lora.metadata, Path(path)))


def lora_stamp(name: str) -> str:
    """Text that changes when the file does, see ``file_stamp``."""
    import folder_paths

    path = folder_paths.get_full_path("loras", name)
    if path is None:
        return ""
    beside = config_beside(Path(path))
    return file_stamp(Path(path)) + (file_stamp(beside) if beside else "")


def file_stamp(path: Path) -> str:
    """Text that changes when a file does, so that the host runs a loader again.

    A digest, because the host writes it into the metadata of what the graph saves, and a path is private.
    """
    stat = path.stat()
    return hashlib.sha256(f"{path} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()


def ticft_settings_of(lora: LoraModel, name: str) -> dict[str, Any]:
    """TICFT_SETTINGS of a LoRA; where the file says nothing the paper's 1+3+9 latents, for no task in particular."""
    settings = settings_from_record(from_metadata(lora.metadata))
    if settings is not None:
        return settings
    log.warning(
        "%s says nothing about TIC-FT; 1+3+9 latents are assumed for image to video, other tasks keep their own counts",
        name,
    )
    return unlabelled_settings()


def apply_lora(model: Any, lora: LoraModel, strength: float, name: str) -> Any:
    """A clone of the model with the LoRA patched in, ``n of n`` layers of the file reported.

    A weight becomes ``W + strength (alpha / rank) B A``. Keys may be the host's, diffusers' or PEFT's.

    Raises:
        ValueError: as ``fitting_patches``, or the model has a LoRA of the other expert.
    """
    loaded = loaded_model(model)
    patches = fitting_patches(loaded, lora, strength, name)
    clone = loaded.model.clone()
    mark_expert(clone, from_metadata(lora.metadata).get("expert", ""), name)
    clone.add_patches(patches, strength)
    return clone


def fitting_patches(loaded: LoadedModel, lora: LoraModel, strength: float, name: str) -> dict[Any, Any]:
    """A LoRA as patches of a model, by weight; how many of its layers are applied is logged.

    Raises:
        ValueError: made for another family, no layer matches, shapes differ, or the file is damaged.
    """
    record = from_metadata(lora.metadata)
    _check_family(loaded, record, name)
    check_patch(loaded.model, record, name)
    model = loaded.model
    found = find_patches(model, lora)
    count, missing, unpatched = len(found.layers), found.missing, found.unpatched
    if not found.by_weight and unpatched:
        raise ValueError(f"{name} changes parameters alone that ComfyUI does not patch: {some(unpatched)}")
    if not found.by_weight:
        raise ValueError(
            f"{name} is {describe_layers(found.layers)} with {count} layers and none of them is in "
            f"{describe_base(model)}; choose a LoRA that was made for it"
        )
    _check_shapes(model, found.by_weight, record, name)
    applied = count - len(missing) - len(unpatched)
    log.info("%s: %d of %d layers applied at strength %g", name, applied, count, strength)
    notes = [found.note] if found.note else []
    if missing:
        notes.append(f"{describe_base(model)} lacks {len(missing)} of its layers, they are left out: {some(missing)}")
    if unpatched:
        notes.append(f"ComfyUI does not patch {len(unpatched)} of its parameters, they are left out: {some(unpatched)}")
    for note in notes:
        log.warning("%s: %s", name, note)
    if notes:
        show_text("\n".join(notes))
    return found.by_weight


def save_lora_as(lora: Mapping[str, Tensor], filename: str, workflow: Mapping[str, str] | None = None) -> Path:
    """Write a LORA_MODEL, ours or the host's, below the host's ``output/loras`` under a free name.

    ``workflow`` is metadata from ``workflow_metadata``; that of a trained LoRA, which says how it was made, stays.

    Raises:
        ValueError: the name is empty, too long, or leads out of the folder.
        RuntimeError: it cannot be written.
    """
    folder = lora_output_folder().resolve()
    name = PurePosixPath(filename.strip().replace("\\", "/").removesuffix(SUFFIX))
    try:
        target = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError):  # half a character, or a loop of links
        target = folder
    if not name.name or not target.is_relative_to(folder) or target == folder or ":" in filename:
        raise ValueError(
            f"the file name {filename!r} is empty or leads out of output/loras; give a name such as my_lora"
        )
    check_length(target.name)
    register_lora_output()
    metadata = {**(workflow or {}), **(getattr(lora, "metadata", None) or {})}
    try:
        return save_numbered(LoraModel(lora, metadata), target.parent, target.name)
    except OSError as error:
        raise RuntimeError(
            f"the LoRA cannot be saved in {target.parent} ({error.strerror or error}); free some space or allow "
            "writing there, then queue again"
        ) from error


def convert_lora_file(name: str, target: str, family: str = "") -> Path:
    """Write a LoRA of the host's ``loras`` folders in the names of another tool, below ``output/loras``.

    Raises:
        ValueError: as ``convert_lora``, or there is no such file.
    """
    plain = PurePosixPath(name.replace("\\", "/"))
    converted = convert_lora(read_lora(name), target, plain.name, family)
    path = save_lora_as(converted, f"{plain.with_suffix('')}_{target.lower()}")
    log.info("%s is written in the names of %s as %s", name, target, path.name)
    return path


def run_record_of(name: str) -> tuple[str, str]:
    """The run record of a LoRA as JSON, and its line to cite.

    Raises:
        ValueError: there is no such file, or it does not say how it was made.
    """
    record = run_record(read_lora(name), name)
    return json.dumps(record, indent=2, ensure_ascii=False), record["citation"]


def _check_family(loaded: LoadedModel, record: dict[str, str], name: str) -> None:
    trained_on = record.get("base_family")
    if trained_on and trained_on != (loaded.family.name if loaded.family else ""):
        raise ValueError(
            f"{name} was trained on {record.get('base_model', trained_on)}, "
            f"the model is {describe_base(loaded.model)}; load the base it was trained on"
        )


def _check_shapes(model: Any, patches: dict[str, Any], record: dict[str, str], name: str) -> None:
    weights = model.model.state_dict()
    for key, patch in patches.items():
        magnitude = getattr(patch, "magnitude", None)
        if magnitude is not None and magnitude.numel() not in _sizes(magnitude, weights[key]):
            raise ValueError(_other_size(model, record, name, key, list(weights[key].shape), list(magnitude.shape)))
        patch = getattr(patch, "inner", patch)
        if getattr(patch, "name", None) != "lora":  # of the other kinds no shape can be told from two tensors
            continue
        up, down = patch.weights[:2]
        shape = (up.shape[0], down.shape[1:].numel())
        wanted = (weights[key].shape[0], weights[key].shape[1:].numel())
        if shape != wanted:
            raise ValueError(_other_size(model, record, name, key, list(wanted), list(shape)))


def _sizes(magnitude: Tensor, weight: Tensor) -> tuple[int, ...]:
    """Numbers that a magnitude may have: one for each output, or for each input where it has the weight's axes."""
    if magnitude.ndim == 1:
        return (weight.shape[0],)
    same_axes = magnitude.ndim == weight.ndim
    if not same_axes or any(m not in (1, w) for m, w in zip(magnitude.shape, weight.shape, strict=True)):
        return ()
    return (weight.shape[0], weight.shape[1])


def _other_size(model: Any, record: dict[str, str], name: str, key: str, wanted: list[int], found: list[int]) -> str:
    return (
        f"{name} was trained on {record.get('base_model', 'a model of another size')}, "
        f"the model is {describe_base(model)}: {key} is {wanted}, the LoRA's {found}; load the base it was trained on"
    )
