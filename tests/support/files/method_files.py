"""Files of AICL and of Tune-A-Video from what was not trained in a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pack.methods.tune_a_video import Tuned
from pack.training.aicl.file import BASE_FAMILY, SIZES, AiclAdapter
from pack.training.aicl.sizes import sizes_to_text
from pack.training.core.methods import AICL, TUNE_A_VIDEO
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.metadata import to_metadata
from pack.training.tune_a_video.file import BASE, CAUSAL, GROUP_NORMS
from pack.training.tune_a_video.layers import QUERIES, TEMPORAL


def save_adapter(adapter: AiclAdapter, path: Path) -> Path:
    """Write an adapter as AICL Train does."""
    record = {
        **adapter.record,
        "method": json.dumps(AICL),
        BASE_FAMILY: adapter.base_family,
        SIZES: sizes_to_text(adapter.sizes),
    }
    return save_lora(LoraModel(adapter.tensors, to_metadata(record)), path)


def save_tuned(tuned: Tuned, path: Path, record: Mapping[str, str] | None = None) -> Path:
    """Write what was tuned, with whole queries, as Tune-A-Video Train does; ``record`` is JSON by name."""
    about = {"method": TUNE_A_VIDEO, GROUP_NORMS: tuned.group_norms, CAUSAL: tuned.sparse_causal}
    texts = {**(record or {}), **{key: json.dumps(value) for key, value in about.items()}, BASE: tuned.base}
    tensors = {f"{TEMPORAL}{name}": value for name, value in tuned.temporal.items()}
    tensors |= {f"{QUERIES}{name}": value for name, value in tuned.queries.items()}
    return save_lora(LoraModel(tensors, to_metadata(texts)), path)
