"""What a LoRA file says about itself: text under one prefix in the safetensors metadata."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "fewshot_video."
PACK_VERSION = "0.1.0"  # of pyproject.toml; a test compares them


def to_metadata(record: Mapping[str, str]) -> dict[str, str]:
    """A record with the pack's version, as it is stored."""
    return {f"{PREFIX}{key}": value for key, value in {**record, "pack_version": PACK_VERSION}.items()}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The record of a file; empty where the file is not ours."""
    return {key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)}
