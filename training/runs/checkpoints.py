"""What a run has learned at several of its steps, each as a LoRA that can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core.config import TrainConfig
from ..core.methods import APPEARANCE, MOTION, TIC_FT
from ..lora.file import LoraModel, load_lora, read_metadata
from ..lora.layers import KEY_PREFIX
from ..lora.metadata import from_metadata
from ..storage.json_text import read_json
from ..storage.state_file import read_state
from .folder import BEST, RunFolder

METHODS = (TIC_FT, MOTION, APPEARANCE)  # those whose runs make a LoRA


@dataclass(frozen=True)
class Checkpoint:
    """A run after so many steps; ``load`` reads the LoRA, and raises ValueError where its file is damaged."""

    steps: int
    load: Callable[[], LoraModel]


def checkpoints_of(run: RunFolder, files: Iterable[Path] = ()) -> list[Checkpoint]:
    """Those of a run that was read, by their steps: LoRA files, the best of the validation, and states.

    Of two with equal steps the file counts: it is what others load.

    Args:
        run: The run.
        files: LoRA files that may be its own; those of other runs are left out.

    Raises:
        ValueError: its method makes no LoRA.
    """
    method = run.record["identity"].get("method")
    if method not in METHODS:
        raise ValueError(f"the run {run.name} is of {method or 'another method'} and makes no LoRA; name a run of one")
    config = TrainConfig.from_dict(run.record["config"])
    found = {step: Checkpoint(step, _of_state(path, config)) for step, path in run.states() if step}
    own = (path for path in files if run_of_file(path) == run.id)
    for path in (run.path / BEST, *own):
        steps = _steps_of(path)
        if steps:
            found[steps] = Checkpoint(steps, _of_file(path))
    return [found[steps] for steps in sorted(found)]


def run_of_file(path: Path) -> str:
    """Id of the run that a LoRA file's history names; empty where there is none."""
    try:
        return str(read_json(path.with_suffix(".json"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def evenly(checkpoints: Sequence[Checkpoint], most: int) -> list[Checkpoint]:
    """At most so many, evenly spread, the last one always; 0: all."""
    if not most or len(checkpoints) <= most:
        return list(checkpoints)
    return [checkpoints[len(checkpoints) * i // most - 1] for i in range(1, most + 1)]


def lora_of_state(values: dict[str, Any], config: TrainConfig) -> LoraModel:
    """The LoRA that a run's state holds; its running average where it keeps one.

    The weights of a state are each adapter's ``down`` and ``up`` in the order of the layers' names.

    Raises:
        ValueError: the state is none of a LoRA.
    """
    trainer = values["trainer"]
    weights = trainer["average"]["weights"] if trainer["average"] else trainer["weights"]
    names = trainer.get("names", [])
    if len(weights) != 2 * len(names):
        raise ValueError("the state holds no LoRA")
    tensors: dict[str, torch.Tensor] = {}
    for name, down, up in zip(names, weights[::2], weights[1::2], strict=True):
        tensors[f"{KEY_PREFIX}{name}.lora_up.weight"] = up
        tensors[f"{KEY_PREFIX}{name}.lora_down.weight"] = down
        tensors[f"{KEY_PREFIX}{name}.alpha"] = torch.tensor(config.lora_alpha)
    return LoraModel(tensors)


def _of_state(path: Path, config: TrainConfig) -> Callable[[], LoraModel]:
    return lambda: lora_of_state(read_state(path), config)


def _of_file(path: Path) -> Callable[[], LoraModel]:
    return lambda: load_lora(path)


def _steps_of(path: Path) -> int:
    """Steps that a file says it was trained for; 0 where it says nothing or is none."""
    try:
        steps = from_metadata(read_metadata(path)).get("steps", "")
    except (OSError, ValueError):
        return 0
    return int(steps) if steps.isdecimal() else 0
