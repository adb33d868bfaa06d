"""The training plan: what small steps on the real model say about a step of the largest clip."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from ....training.core.config import CHECKPOINTING, TrainConfig
from ....training.core.optimizers import with_installed_optimizer
from ....training.core.plan import Row, first_that_fits, plan_rows, report
from ....training.data.encoding import EncodedDataset
from .memory_profile import measure, step_of
from .subjects import PlanRequest, asked_settings, subject_of

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
    subject = subject_of(model, encoded, config, request, rank)
    measured, network, free, notes = measure(subject.model, subject.config, subject.clip, subject.opened)
    asked = step_of(subject.clip, subject.clip.x0.shape, config.batch_size)
    lines = [note, *notes, *subject.notes]
    if not measured:
        text, mode = "Not even a small step fits; use a smaller model, or its weights in fp8.", CHECKPOINTING[-1]
    else:
        rows = plan_rows(measured, network, asked, free)
        text, mode = report(rows, network, asked, free), _chosen(rows, free)
    text = "\n".join(line for line in (*lines, text) if line)
    log.info("training plan:\n%s", text)
    return text, replace(config, checkpointing=mode)


def _chosen(rows: list[Row], free: float) -> str:
    row = first_that_fits([row for row in rows if row.by_settings], free)
    return (row or [row for row in rows if row.by_settings][-1]).checkpointing
