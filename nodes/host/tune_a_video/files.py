"""What Tune-A-Video has tuned, as the host offers it in its folders."""

from __future__ import annotations

from pathlib import Path

from ....methods.tune_a_video import Tuned
from ....training.lora.file import SUFFIX
from ....training.tune_a_video.file import load_tuned
from ..model.loras import file_stamp
from ..services.folders import model_names, register_tune_a_video_folders


def tuned_names() -> list[str]:
    """The safetensors files the host offers in ``tune_a_video``."""
    return model_names("tune_a_video")


def read_tuned(name: str) -> Tuned:
    """What a file of the host's ``tune_a_video`` folders holds.

    Raises:
        ValueError: there is no such file, or it is not of Tune-A-Video.
    """
    path = _path(name)
    if path is None or not name.lower().endswith(SUFFIX):
        raise ValueError(
            f"there is no Tune-A-Video file {name!r}; put it into models/tune_a_video, refresh the list and choose it"
        )
    return load_tuned(path)


def tuned_stamp(name: str) -> str:
    """Text that changes when the file does, see ``file_stamp``."""
    path = _path(name)
    return "" if path is None else file_stamp(path)


def _path(name: str) -> Path | None:
    import folder_paths

    register_tune_a_video_folders()
    found = folder_paths.get_full_path("tune_a_video", name)
    return None if found is None else Path(found)
