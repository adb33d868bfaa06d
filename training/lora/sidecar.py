"""PEFT's settings that lie beside a LoRA: ``adapter_config.json`` in the folder of ``adapter_model.safetensors``."""

from __future__ import annotations

from pathlib import Path

from .alpha import CONFIG_KEYS

MODEL, CONFIG = "adapter_model.safetensors", "adapter_config.json"
LARGEST = 2**20  # bytes of settings


def config_beside(path: Path) -> Path | None:
    """The settings of a file that PEFT saved into a folder; None where there are none.

    Source: ``PeftModel.save_pretrained``.
    """
    config = path.with_name(CONFIG)
    return config if path.name == MODEL and config.is_file() else None


def with_config_beside(metadata: dict[str, str], path: Path) -> dict[str, str]:
    """A file's metadata with the settings beside it, unless it has some of its own.

    Raises:
        ValueError: what lies there cannot be read.
    """
    config = config_beside(path)
    if config is None or any(key in metadata for key in CONFIG_KEYS):
        return metadata
    try:
        if config.stat().st_size > LARGEST:
            raise ValueError(f"{config.stat().st_size} bytes are too many")
        return {**metadata, CONFIG_KEYS[0]: config.read_text(encoding="utf-8")}
    except (OSError, ValueError) as error:
        raise ValueError(f"{CONFIG} beside {path.name} cannot be read ({error}); copy the folder again") from error
