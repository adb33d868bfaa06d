"""What the runs of a method make: the one thing in which a run of a LoRA differs from that of another method."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....training.core.config import TrainConfig
from ....training.lora.metadata import file_metadata
from ....training.runs.folder import check_run_name
from ..layers.adapters import check_trainable
from ..model.families import trainable_family_of
from ..services.folders import lora_output_folder
from ..session.session import Session, training_session


@dataclass(frozen=True)
class Kind:
    """What is trained, and where it goes."""

    noun: str  # for sentences: "the <noun> is saved"
    folder: Callable[[], Path]  # where the files of finished runs are, in a folder of the run's name
    check: Callable[[Any], None]  # refuses a host MODEL that cannot be trained, with a ValueError
    base: Callable[[Any], str]  # the family of a host MODEL, for the files
    open: Callable[[Any, TrainConfig], AbstractContextManager[Session]]  # prepares a MODEL for the time of a run
    metadata: Callable[..., dict[str, str]] = file_metadata  # of a file, see there

    def files(self, name: str) -> Path:
        """Folder of a run's files.

        Raises:
            ValueError: the name cannot name a folder.
        """
        check_run_name(name)
        return self.folder() / name


def check_video_model(model: Any) -> None:
    """Refuse a host MODEL that no LoRA can be trained on.

    Raises:
        ValueError: its family is not among those that are trained, or its weights are quantised.
    """
    trainable_family_of(model)
    check_trainable(model)


def video_family(model: Any) -> str:
    """Name of a video MODEL's family."""
    return trainable_family_of(model).name


LORA = Kind("LoRA", lora_output_folder, check_video_model, video_family, training_session)
