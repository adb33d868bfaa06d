"""A run while it goes on: between the steps it is reported, validated, saved and shown, and commands are taken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.loop import OnStep, Rewind, Stopped, run_steps, suspect
from ..core.offload import offloaded
from ..core.state import WINDOW, StepRecord, TrainState, runaway
from ..core.trainer import Trainer
from ..distributed.processes import processes
from .control import SAMPLE, SAVE, STOP, RunControl
from .folder import RunFolder
from .monitor import Monitors

log = logging.getLogger(__name__)

REWIND = "rewind"  # what other processes are told
FIRST_SAVE, LEAST_PAUSE, SHARE = 30.0, 120.0, 0.03  # seconds; part of the time that saving may take


class Run:
    """One run of a ``Trainer`` in a ``RunFolder``."""

    def __init__(
        self,
        trainer: Trainer,
        state: TrainState,
        folder: RunFolder,
        control: RunControl,
        monitors: Monitors,
        *,
        progress: OnStep | None = None,
        validate: Callable[[], dict[str, float]] | None = None,
        sample: Callable[[int], Path | None] | None = None,
        keep_best: Callable[[], Any] | None = None,
        clip_names: Sequence[str] = (),
    ) -> None:
        """Keep everything, do nothing yet.

        Args:
            trainer: Does the steps.
            state: Of the run, read from its folder where it goes on.
            folder: Where states are saved.
            control: Orders of the user.
            monitors: Get every event.
            progress: Called after each step; raises ``Cancelled``.
            validate: Losses on held-out clips by name, ``mean`` among them, of the weights in the model.
            sample: Makes a preview with the weights in the model.
            keep_best: Called when the weights in the model have the lowest validation loss so far.
            clip_names: To name a clip in a sentence.
        """
        self.trainer, self.state, self.folder, self.control, self.monitors = trainer, state, folder, control, monitors
        self.progress, self.validate, self.sample, self.keep_best = progress, validate, sample, keep_best
        self.clip_names = clip_names
        self._next_save = time.monotonic() + FIRST_SAVE
        self._accused: int | None = None

    def go(self) -> None:
        """Do the steps that are left, between a validation before and one after."""
        if self.validate is not None and validation_lacks(self.state, self.trainer.config.validate_every):
            self._validate()
        rewind: Rewind = self.rewind
        run_steps(self.trainer, self.state, self.after_step, rewind, self.monitors.step)
        if self.validate is not None and self.state.validation[-1]["step"] != self.state.step:
            self._validate()

    def save(self) -> Path | None:
        """Write the state; None where it cannot be written, which is said and costs nothing else."""
        if self.trainer.torn:
            self.note("save", "the run was stopped within an update, so the last checkpoint counts")
            return None
        begun, config, best = time.monotonic(), self.trainer.config, self.state.best
        try:
            path = self.folder.save(self.state.step, self.values(), config.keep, int(best["step"]) if best else None)
        except Exception as error:  # whatever it is, the run is worth more than one state
            self.note("save", f"the state of step {self.state.step} could not be saved ({error}); training goes on")
            path = None
        self._next_save = time.monotonic() + max(LEAST_PAUSE, (time.monotonic() - begun) / SHARE)
        return path

    def values(self) -> dict[str, Any]:
        """All that a run goes on from: plain values and tensors, not copied."""
        rate = self.trainer.config.learning_rate  # the one that the state's ``rate_scale`` is of
        return {"train": self.state.to_dict(), "trainer": self.trainer.values(), "learning_rate": rate}

    def rewind(self) -> bool:
        """Go back to the newest checkpoint from which the last good step is taken again, with a lower rate.

        Other processes of the run are told what it goes on from, or that there is none.
        """
        there = self._rewound()
        processes().tell(REWIND, self.values() if there else None)
        return there

    def _rewound(self) -> bool:
        failed = self.state.step - self.state.in_a_row
        # Not that of the last good step: skipped steps leave the weights alone, so it would fail in the same way.
        values = self.folder.load(failed - 1)
        if values is None:
            return False
        skipped, suspects, at = self.state.skipped, self.state.suspects, self.state.step
        self.restore(values)
        self.folder.forget_after(self.state.step)  # they would outrank what is saved from here on
        self.state.skipped, self.state.suspects = skipped, suspects
        self.control.give(SAVE)  # with the lower rate, so that a resumed run has it too
        text = f"no number in steps {failed + 1} to {at}; back to step {self.state.step} with half the learning rate"
        self.note("rewind", text)
        return True

    def restore(self, values: dict[str, Any]) -> None:
        """Become what a checkpoint says; a learning rate that was given since is taken whole."""
        restore(self.trainer, self.state, values)

    def note(self, kind: str, text: str) -> None:
        """Say something to the log and to all monitors."""
        log.warning("%s", text)
        self.monitors.note(kind, text)

    def after_step(self, step: int, record: StepRecord) -> None:
        """Follow the commands that came while a step was made."""
        if self.progress is not None:
            self.progress(step, record)
        self._watch(record)
        config = self.trainer.config
        if self.validate is not None and config.validate_every and step % config.validate_every == 0:
            self._validate()
        if self.control.take(STOP):
            processes().ask_stop()
        stop = processes().stops()
        if self._save_is_due(step):
            self._save_as_asked(step)
        if self.control.take(SAMPLE) or (config.sample_every and step % config.sample_every == 0):
            self._sample()
        if stop:
            raise Stopped

    def _save_as_asked(self, step: int) -> None:
        asked = self.control.take(SAVE)
        if self.save() is not None and asked:
            self.monitors.note("save", f"saved: {self.folder.name} at step {step}")

    def _save_is_due(self, step: int) -> bool:
        every = self.trainer.config.save_every
        due = step % every == 0 if every else time.monotonic() >= self._next_save
        return (due or self.control.wants(SAVE)) and not self.state.in_a_row

    def _watch(self, record: StepRecord) -> None:
        """Warn of skipped steps, of a clip that is always among them, and of a loss that runs away."""
        state = self.state
        if record.skipped:
            clip = suspect(state, self.trainer.objective.size)
            if clip is not None and clip != self._accused:
                self._accused = clip
                name = self.clip_names[clip] if clip < len(self.clip_names) else f"number {clip + 1}"
                self.note("clip", f"the clip {name} is in every step without a number; check it or leave it out")
            elif len(state.skipped) == 1:
                self.note("skipped", f"loss or gradient of step {state.step} is not a number; the step is skipped")
        times = runaway(state.losses)
        if times is not None and (not state.warned or state.step - state.warned >= WINDOW):
            state.warned = state.step
            self.note("divergence", f"the loss is {times:.1f} times its usual; if it stays there, lower learning_rate")

    def _validate(self) -> None:
        validate = self.validate
        if validate is None:
            return
        with self.trainer.result_in_place():
            losses = validate()
            entry = {"step": self.state.step, **losses}
            self.state.validation.append(entry)
            if self.keep_best is not None and self.state.step and self.state.best is entry:
                self.keep_best()
        log.info("validation loss after %d steps: %.5f", self.state.step, losses["mean"])
        self.monitors.validated(self.state.step, losses)

    def _sample(self) -> None:
        if self.sample is None:
            return
        try:
            with self.trainer.result_in_place(), offloaded(self.trainer.optimizer):
                path = self.sample(self.state.step)
        except Exception as error:  # also out of memory: a preview is not worth a run
            self.note("preview", f"the preview of step {self.state.step} is left out ({error})")
            return
        if path is not None:
            self.monitors.sampled(self.state.step, path)


def validation_lacks(state: TrainState, every: int) -> bool:
    """Whether a run that begins, or goes on, is validated first: it never was, or it ended before it could be."""
    if not state.validation:
        return True
    return bool(every) and state.step % every == 0 and state.validation[-1]["step"] != state.step


def restore(trainer: Trainer, state: TrainState, values: dict[str, Any]) -> None:
    """Have a trainer and a state become what a checkpoint says; a learning rate that was given since is taken whole."""
    trainer.load(values["trainer"])
    state.take(TrainState.from_dict(values["train"]))
    rate = trainer.config.learning_rate
    if values.get("learning_rate", rate) != rate:
        state.rate_scale, state.rewinds = 1.0, 0
