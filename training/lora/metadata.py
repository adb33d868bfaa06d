"""What a LoRA file says about itself: our record under one prefix, and the words that other tools read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..storage.json_text import parse_json

if TYPE_CHECKING:
    from ..core.config import TrainConfig
from ..core.methods import TITLES

PREFIX = "fewshot_video."
PACK_VERSION = "0.1.0"  # of pyproject.toml; a test compares them
NAMES = ("base_family", "base_model", "base_patch", "method", "group_norms", "expert")  # values that sentences name
BASE_PATCH = "base_patch"  # size of the base's tokens, latents in time, height and width: 1 x 2 x 2
LONGEST_NAME = 200  # characters; a model's description takes half of them
MODEL_SPEC = "1.0.0"  # of the sai_model_spec that the modelspec keys follow
# Family: the architecture a LoRA is for, and the reference code whose model that is.
ARCHITECTURES = {
    "Wan 2.1": ("wan2.1", "https://github.com/Wan-Video/Wan2.1"),
    "Wan 2.1 I2V": ("wan2.1-i2v", "https://github.com/Wan-Video/Wan2.1"),
    "Wan 2.1 FLF2V": ("wan2.1-flf2v", "https://github.com/Wan-Video/Wan2.1"),
    "Wan 2.2 I2V": ("wan2.2-i2v-a14b", "https://github.com/Wan-Video/Wan2.2"),
    "Wan 2.2 5B": ("wan2.2-ti2v-5b", "https://github.com/Wan-Video/Wan2.2"),
    "CogVideoX 1.5": ("cogvideox-1.5", "https://github.com/zai-org/CogVideo"),
    "CogVideoX 2B": ("cogvideox-2b", "https://github.com/zai-org/CogVideo"),
    "CogVideoX 5B": ("cogvideox-5b", "https://github.com/zai-org/CogVideo"),
    "LTXV": ("ltx-video", "https://github.com/Lightricks/LTX-Video"),
    "Kandinsky 5": ("kandinsky-5", "https://github.com/kandinskylab/kandinsky-5"),
    "HunyuanVideo 1.5": ("hunyuan-video-1.5", "https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5"),
    "LTX-2": ("ltx-2", "https://github.com/Lightricks/LTX-2"),
    "LTX-2.3": ("ltx-2.3", "https://github.com/Lightricks/LTX-2"),
    "HunyuanVideo": ("hunyuan-video", "https://github.com/Tencent-Hunyuan/HunyuanVideo"),
}


def patch_words(patch: Sequence[int]) -> str:
    """Size of a base's tokens as ``BASE_PATCH`` says it, ``1 x 2 x 2``; empty where there is none."""
    return " x ".join(map(str, patch))


def to_metadata(record: Mapping[str, str]) -> dict[str, str]:
    """A record with the pack's version, as it is stored."""
    return {f"{PREFIX}{key}": value for key, value in {**record, "pack_version": PACK_VERSION}.items()}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The record of a file; empty where the file is not ours."""
    record = {key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)}
    return {key: one_line(value) if key in NAMES else value for key, value in record.items()}


def one_line(text: str) -> str:
    """A name as a sentence can hold it, whatever a damaged file says: of one line, and cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}..."


def file_metadata(
    record: Mapping[str, str],
    config: TrainConfig,
    *,
    title: str = "",
    date: str = "",
    workflow: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """All metadata of a trained LoRA's file: our record, modelspec, kohya's ``ss_`` keys, and the workflow.

    The same arguments give the same text: nothing is taken from the clock or the machine.

    Args:
        record: Values as text, some of them JSON: ``method``, ``base_family``, ``base_model``, ``steps``, ``clips``,
            ``width`` and ``height`` in pixels, and what else there is.
        config: The settings it was trained with.
        title: Name of the LoRA, the method's and family's if empty.
        date: Day of the training, as 2026-01-31; left out if empty.
        workflow: The host's prompt and workflow, as its own savers write them.
    """
    spec = model_spec(record, title, date)
    return {**(workflow or {}), **to_metadata(record), **spec, **training_keys(record, config, title)}


def model_spec(record: Mapping[str, str], title: str = "", date: str = "") -> dict[str, str]:
    """The modelspec keys. Source: Stability AI's ModelSpec 1.0.0; ``/lora`` as kohya's trainers write it."""
    family = record.get("base_family", "")
    architecture, implementation = ARCHITECTURES.get(family, (family or "unknown", "unknown"))
    method = plain_value(record, "method") or "LoRA"
    spec = {
        "sai_model_spec": MODEL_SPEC,
        "architecture": f"{architecture}/lora",
        "implementation": implementation,
        "title": title or f"{TITLES.get(method, method)} on {family or 'an unknown base'}",
        "date": date,
        "resolution": _resolution(record),
    }
    return {f"modelspec.{key}": value for key, value in spec.items() if value}


def training_keys(record: Mapping[str, str], config: TrainConfig, title: str = "") -> dict[str, str]:
    """The training keys that tools read from LoRA files. Source: the names in kohya's and musubi-tuner's files."""
    family = record.get("base_family", "")
    architecture = ARCHITECTURES.get(family, (family, ""))[0]
    keys = {
        "output_name": title,
        "base_model_version": architecture,
        "sd_model_name": record.get("base_model", ""),
        "network_module": "networks.lora",  # a plain LoRA, up and down and alpha
        "network_dim": config.rank,
        "network_alpha": config.lora_alpha,
        "network_args": json.dumps({"target_modules": config.target_modules}),
        "learning_rate": config.learning_rate,
        "max_train_steps": config.steps,
        "steps": record.get("steps", ""),
        "batch_size_per_device": config.batch_size,
        "total_batch_size": config.batch_size * config.accumulation,
        "gradient_accumulation_steps": config.accumulation,
        "gradient_checkpointing": config.checkpointing != "off",
        "num_train_items": record.get("clips", ""),
        "optimizer": config.optimizer,
        "lr_scheduler": config.lr_schedule,
        "lr_warmup_steps": config.warmup_steps,
        "max_grad_norm": config.max_grad_norm,
        "seed": config.seed,
        "caption_dropout_rate": config.caption_dropout,
        "timestep_sampling": config.density,
        "discrete_flow_shift": config.shift,
        "resolution": _resolution(record),
    }
    return {f"ss_{key}": str(value) for key, value in keys.items() if value != ""}


def plain_value(record: Mapping[str, str], key: str) -> Any:
    """A value of a record, read as JSON where it is JSON; None where there is none."""
    text = record.get(key)
    try:
        return None if text is None else parse_json(text)
    except ValueError:
        return text


def _resolution(record: Mapping[str, str]) -> str:
    width, height = (plain_value(record, name) for name in ("width", "height"))
    return f"{width}x{height}" if width and height else ""
