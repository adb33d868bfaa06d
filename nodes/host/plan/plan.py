"""The training plan: what small steps on the real model say about a step of the largest clip."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from ....training.core.config import CHECKPOINTING, TrainConfig
from ....training.core.optimizers import with_installed_optimizer
from ....training.core.plan import Row, first_that_fits, plan_rows, with_kept_blocks
from ....training.core.plan_report import report
from ....training.data.encoding import EncodedDataset
from .memory_profile import counted_at_true_size, counted_steps, measure, step_of
from .subjects import PlanRequest, Subject, asked_settings, subject_of

log = logging.getLogger(__name__)


def plan_training(
    model: Any, encoded: EncodedDataset, settings: TrainConfig | None, rank: int, batch_size: int, request: PlanRequest
) -> tuple[str, TrainConfig]:
    """A readable table, and the settings with the first checkpointing that fits; the leanest where none does.

    Args:
        model: host MODEL; it is not changed.
        encoded: The clips to train on.
        settings: Of the Train node; None: those it has without any.
        rank: Of the LoRA; 0: whole weights, in Tune-A-Video.
        batch_size: Clips of a step.
        request: The rest of what decides a step's size.

    Raises:
        ValueError: the model or the data does not fit, as in training.
    """
    config, note = with_installed_optimizer(asked_settings(request.method, settings, rank, batch_size))
    config = replace(config, kept_blocks=0)  # which is for this plan to find
    subject = subject_of(model, encoded, config, request, rank)
    counted, why = counted_of(subject)
    measured, network, free, notes = measure(subject.model, subject.config, subject.clip, subject.opened, counted)
    asked = step_of(subject.clip, subject.clip.x0.shape, config.batch_size)
    lines = [note, why, *notes, *subject.notes]
    if not measured:
        text = "Not even a small step fits; use a smaller model, or its weights in fp8."
        found = {"checkpointing": CHECKPOINTING[-1]}
    else:
        rows = plan_rows(measured, network, asked, free, counted)
        rows = with_kept_blocks(rows, network, free, partial(_counted_keeping, subject) if counted else None)
        text, found = report(rows, network, asked, free), _chosen(rows, free)
    text = "\n".join(line for line in (*lines, text) if line)
    log.info("training plan:\n%s", text)
    return text, replace(config, **found)


def counted_of(subject: Subject) -> tuple[dict[str, float], str]:
    """The memory of the step at its true size by checkpointing, or none and a line that says why."""
    try:
        return counted_steps(subject.model, subject.config, subject.clip, subject.opened), ""
    except Exception as error:  # of layers of other packs, which may need numbers to compute a shape
        log.info("the memory of a step could not be counted", exc_info=True)
        return {}, f"The step was not counted at its true size ({error}); small steps are extrapolated instead."


def _counted_keeping(subject: Subject, checkpointing: str, kept: int) -> float:
    config = replace(subject.config, checkpointing=checkpointing, kept_blocks=kept)
    return counted_at_true_size(subject.model, config, subject.clip, subject.opened)


def _chosen(rows: list[Row], free: float) -> dict[str, Any]:
    """The settings that a plan comes to."""
    own = [row for row in rows if row.by_settings]
    row = first_that_fits(own, free) or own[-1]
    return {"checkpointing": row.checkpointing, "kept_blocks": row.kept}
