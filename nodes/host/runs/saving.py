"""What a run has trained, as it is saved at its end, when it stops, and when it is the best so far."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ....training.core.state import TrainState
from ....training.core.trainer import Trainer
from ....training.lora.file import LoraModel, load_lora
from ....training.lora.metadata import from_metadata
from ....training.runs.folder import BEST, HISTORY, RunFolder
from ....training.storage.state_file import write_json
from ..services.node_text import show_text
from ..session.session import Trainable
from .kinds import RunKind
from .output import Trained, write_best, write_somewhere
from .previews import Note

log = logging.getLogger(__name__)


def _unheard(_kind: str, _text: str) -> None:
    """What is said before there is a run to say it."""


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class Saver:
    """Saves what one run has trained."""

    kind: RunKind
    name: str  # of the files and their folder
    trained: Trainable
    trainer: Trainer
    state: TrainState
    folder: RunFolder
    record: dict[str, str]  # for the metadata
    workflow: Mapping[str, str] = field(default_factory=dict)  # for the metadata too
    note: Note = _unheard  # the run's, once there is one

    def file(self, finished: bool) -> LoraModel:
        """What is trained as it is now, the running average if there is one."""
        record = {**self.record, **self._validation(), "steps": str(self.state.step), "finished": str(finished).lower()}
        with self.trainer.result_in_place():
            tensors = self.trained.tensors(DTYPES[self.trainer.config.lora_dtype])
        today = time.strftime("%Y-%m-%d")
        config = self.trainer.config
        metadata = self.kind.metadata(record, config, title=self.name, date=today, workflow=self.workflow)
        return LoraModel(tensors, metadata)

    def save(self, finished: bool) -> Trained:
        """Write it with its history.

        Raises:
            RuntimeError: it can be written nowhere.
        """
        file, state = self.file(finished), self.state
        history = self._history()
        path, elsewhere = write_somewhere(self.kind, file, history, self.folder, self.name)
        self._tell(elsewhere)
        if finished:
            self._keep_history(history)
        log.info("saved %d layers after %d steps to %s", len(self.trained), state.step, path)
        return Trained(file, state.losses, state.step, path, self.folder.id)

    def keep_best(self) -> None:
        """Write it beside the run's states; failing to is logged."""
        try:
            write_best(self.file(finished=False), self.folder.path / BEST)
        except Exception as error:  # the run is worth more than this file
            log.warning("the best %s so far could not be saved (%s)", self.kind.noun, error)

    def publish_best(self) -> Path | None:
        """Put the best file beside the last one, if it is another; its path, or None."""
        best = self.state.best
        if best is None or best["step"] in (0, self.state.step):
            return None
        try:
            file = load_lora(self.folder.path / BEST)
            if from_metadata(file.metadata).get("steps") != str(best["step"]):
                raise ValueError("the file is of another step")
            best_name = f"{self.name}_best"
            path, elsewhere = write_somewhere(self.kind, file, self._history(), self.folder, self.name, best_name)
            self._tell(elsewhere)
        except (OSError, ValueError, RuntimeError) as error:
            log.warning("the best %s, of step %d, could not be saved (%s)", self.kind.noun, best["step"], error)
            return None
        log.info("the validation loss was lowest after %d steps; that %s is in %s", best["step"], self.kind.noun, path)
        return path

    def _tell(self, text: str) -> None:
        """Say where the file is, if it is not where it belongs: in the log, on the node and in the panel."""
        if text:
            log.warning("%s", text)
            self.note("save", text)
            show_text(text)

    def _keep_history(self, history: dict[str, Any]) -> None:
        """The history in the run's folder too: it is still there when somebody has moved the file."""
        try:
            write_json(self.folder.path / HISTORY, history)
        except OSError as error:
            log.warning("the history of the run %s could not be kept (%s)", self.folder.name, error)

    def _history(self) -> dict[str, Any]:
        state = self.state
        return {
            "run": self.folder.id,
            "loss": state.losses,
            "sigma": state.sigmas,
            "skipped": state.skipped,
            "validation": state.validation,
        }

    def _validation(self) -> dict[str, str]:
        """Mean validation loss before the first step and after the last."""
        entries = self.state.validation
        found = {"before": entries[0]} if entries and entries[0]["step"] == 0 else {}
        if entries and entries[-1]["step"] == self.state.step and len(entries) > 1:
            found["after"] = entries[-1]
        return {f"validation_loss_{when}": f"{entry['mean']:.6f}" for when, entry in found.items()}
