"""What the runs of a method make: the one thing in which a run of a LoRA differs from that of another method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....training.core.config import TrainConfig
from ....training.lora.metadata import file_metadata
from ....training.runs.folder import check_run_name
from ..layers.adapters import select_layers
from ..model.known_model import KnownModel
from ..services.folders import lora_output_folder
from ..session.session import Opened, training_session


@dataclass(frozen=True)
class RunKind:
    """What is trained, and where it goes."""

    noun: str  # for sentences: "the <noun> is saved"
    folder: Callable[[], Path]  # where the files of finished runs are, in a folder of the run's name
    open: Opened  # prepares a model for the time of a run
    metadata: Callable[..., dict[str, str]] = file_metadata  # of a file, see there
    category: str = "loras"  # of the host's models
    fits: Callable[[KnownModel, TrainConfig], Any] | None = None  # refuses settings that do not fit a model

    def files(self, name: str) -> Path:
        """Folder of a run's files.

        Raises:
            ValueError: the name cannot name a folder.
        """
        check_run_name(name)
        return self.folder() / name


def find_layers(model: KnownModel, config: TrainConfig) -> None:
    """Refuse settings whose target_modules name no layer of a model.

    Raises:
        ValueError: they match none.
    """
    select_layers(model.model.model.diffusion_model, config.target_modules, model.family)


LORA = RunKind("LoRA", lora_output_folder, training_session, fits=find_layers)
