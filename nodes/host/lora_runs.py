"""A LoRA run from start to file: find a finished one, or prepare the model, train, save, read back."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...training.cache import write_atomically
from ...training.config import TrainConfig
from ...training.loop import Cancelled, TrainState, train
from ...training.lora_file import (
    LoraModel,
    load_lora,
    read_metadata,
    save_lora,
    unique_path,
)
from ...training.lora_metadata import from_metadata, to_metadata
from ...training.validation import validation_loss
from .adapters import check_trainable
from .families import trainable_family_of
from .fingerprint import model_fingerprint
from .folders import lora_output_folder
from .progress import StepProgress, throw_if_cancelled
from .training import Session, training_session

log = logging.getLogger(__name__)

TRAINING_REVISION = 1  # raise it when the same order and seed give another LoRA, so that old runs do not count


@dataclass(frozen=True)
class LoraJob:
    """One method's order for a LoRA."""

    model: Any  # host MODEL
    config: TrainConfig
    run_name: str  # folder and file name below the host's output/loras
    identity: str  # digest of data and method settings
    make_objective: Callable[[], Any]  # encodes; called only when there is something to train
    make_validation: Callable[[], Any] | None = None

    def key(self) -> str:
        """Digest of everything that decides the result."""
        parts = [TRAINING_REVISION, self.config.to_dict(), self.identity, model_fingerprint(self.model)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class TrainedLora:
    """A LoRA and how it came to be."""

    lora: LoraModel
    losses: list[float]
    steps: int
    path: Path


def run_lora_job(job: LoraJob) -> TrainedLora:
    """Return the finished run of the same configuration, data and model, or train one and save it.

    A run that is cancelled or fails keeps the steps it did in a file of its own.

    Raises:
        ValueError: the run name, the data or the model is unsuitable.
        RuntimeError: the LoRA cannot be saved anywhere.
    """
    folder = run_folder(job.run_name)
    trainable_family_of(job.model)
    check_trainable(job.model)
    key = job.key()
    finished = find_finished(folder, key)
    if finished is not None:
        log.info("this run is finished already, %s is returned; change the seed to train again", finished.path.name)
        return finished
    objective = job.make_objective()
    held_out = job.make_validation() if job.make_validation is not None else None
    state = TrainState()
    with training_session(job.model, job.config) as session:
        record = _base_record(job, key, objective)
        try:
            record |= _validate(session, held_out, "before")
            _train(session, objective, job.config, state)
            record |= _validate(session, held_out, "after")
        except BaseException as stop:  # the host's cancel is no Exception; the steps done are worth keeping
            _keep_steps(session, folder, job, state, record)
            if isinstance(stop, Cancelled) and stop.__cause__ is not None:
                # The host must see its own exception, or it would call a cancelled run a failed one.
                raise stop.__cause__ from None
            raise
        return _save(session, folder, job, state, {**record, "finished": "true"})


def _keep_steps(session: Session, folder: Path, job: LoraJob, state: TrainState, record: dict[str, str]) -> None:
    """Save a run that stopped; what stopped it matters more than a failure to save, which is logged."""
    if not state.step:
        return
    try:
        kept = _save(session, folder, job, state, {**record, "finished": "false"})
    except RuntimeError as error:
        log.error("the run stopped after %d steps and %s", state.step, error)
    else:
        log.warning("the run stopped after %d steps; they are kept in %s", state.step, kept.path)


def _train(session: Session, objective: Any, config: TrainConfig, state: TrainState) -> None:
    train(
        objective,
        session.predict,
        session.adapters.parameters(),
        config,
        state=state,
        on_step=StepProgress(config.steps),
        loss_scale=session.loss_scale,
    )


def run_folder(run_name: str) -> Path:
    """Folder of a run below the host's ``output/loras``.

    Raises:
        ValueError: the name could lead elsewhere.
    """
    if not re.fullmatch(r"\w[\w .+-]*", run_name) or run_name.endswith((".", " ")):
        raise ValueError(f"the run name {run_name!r} cannot name a folder; use letters, digits, spaces, dots, _ and -")
    return lora_output_folder() / run_name


def find_finished(folder: Path, key: str) -> TrainedLora | None:
    """The finished run of a folder with this key, or None."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            record = from_metadata(read_metadata(path))
            if record.get("run_key") != key or record.get("finished") != "true":
                continue
            history = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return TrainedLora(load_lora(path), history["loss"], int(record["steps"]), path)
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s cannot be used again (%s)", path.name, error)
    return None


def _base_record(job: LoraJob, key: str, objective: Any) -> dict[str, str]:
    return {
        **objective.metadata(),
        "base_family": trainable_family_of(job.model).name,
        "base_model": describe_base(job.model),
        "config": json.dumps(job.config.to_dict()),
        "clips": str(objective.size),
        "run_key": key,
    }


def describe_base(model: Any) -> str:
    """Class and size of a host MODEL, for sentences."""
    count = sum(parameter.numel() for parameter in model.model.diffusion_model.parameters())
    return f"{type(model.model).__name__} with {count / 1e6:.2f} M parameters"


def _validate(session: Session, held_out: Any, when: str) -> dict[str, str]:
    if held_out is None:
        return {}

    def predict(*inputs: Any) -> Any:
        throw_if_cancelled()
        return session.predict(*inputs)

    loss = validation_loss(held_out, predict, session.device)
    log.info("validation loss %s training: %.5f over %d clips", when, loss, held_out.size)
    return {f"validation_loss_{when}": f"{loss:.6f}"}


def _save(session: Session, folder: Path, job: LoraJob, state: TrainState, record: dict[str, str]) -> TrainedLora:
    lora = LoraModel(session.adapters.tensors(), to_metadata({**record, "steps": str(state.step)}))
    history = {"loss": state.losses, "sigma": state.sigmas}
    path = _write_somewhere(lora, history, folder, job.run_name)
    log.info("saved %d adapters after %d steps to %s", len(session.adapters), state.step, path)
    return TrainedLora(lora, state.losses, state.step, path)


def _write_somewhere(lora: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write a run to its folder, or to the host's temp folder where that fails, and say so.

    Raises:
        RuntimeError: neither could be written.
    """
    import folder_paths

    try:
        return _write(lora, history, folder, name)
    except (OSError, RuntimeError) as error:
        spare = Path(folder_paths.get_temp_directory()) / "loras"
        try:
            path = _write(lora, history, spare, name)
        except (OSError, RuntimeError) as second:
            raise RuntimeError(
                f"the LoRA could be saved neither in {folder} ({error}) nor in {spare} ({second}); "
                "free some space or allow writing there, then train again"
            ) from error
        log.warning(
            "the LoRA could not be saved in %s (%s); it is in %s, move it before ComfyUI restarts and empties "
            "that folder",
            folder,
            error,
            path,
        )
        return path


def _write(lora: LoraModel, history: dict[str, Any], folder: Path, name: str) -> Path:
    """Write loss history and LoRA, in this order: a LoRA that exists is complete. Both or none."""
    path = unique_path(folder, name)
    beside = path.with_suffix(".json")
    write_atomically(beside, json.dumps(history).encode())
    try:
        return save_lora(lora, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
