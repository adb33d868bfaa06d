"""The two experts of Wan 2.2 14B: the noise levels each one learns, and LoRAs on the wrong one.

A loaded network does not tell which expert it is; only a LoRA's metadata does. So two LoRAs can be told apart, and a
LoRA on the other expert's bare network cannot.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from ....training.core.config import BOTH_EXPERTS, HIGH_NOISE, LOW_NOISE, MODEL_SHIFT, TrainConfig
from .families import Family

log = logging.getLogger(__name__)

MARK = "fewshot_video_expert"  # of a model that has an expert's LoRA


def resolved(config: TrainConfig, model: Any, family: Family) -> TrainConfig:
    """Settings whose words for the model's own numbers are replaced by these numbers.

    Raises:
        ValueError: the model has no such number.
    """
    config = _with_model_shift(config, model, family)
    if config.expert == BOTH_EXPERTS:
        return config
    if family.expert_boundary is None:
        raise ValueError(f'{family.name} has no experts; set expert to "{BOTH_EXPERTS}"')
    low, high = (family.expert_boundary, 1.0) if config.expert == HIGH_NOISE else (0.0, family.expert_boundary)
    low, high = max(low, config.sigma_low), min(high, config.sigma_high)
    if low >= high:
        raise ValueError(
            f"the {config.expert} expert works on the other side of {family.expert_boundary:g} than the range from "
            f"{config.sigma_low:g} to {config.sigma_high:g}; widen the range or choose the other expert"
        )
    return replace(config, sigma_low=low, sigma_high=high)


def mark_expert(model: Any, expert: str, name: str) -> None:
    """Note on a model that it has the LoRA of an expert, and log which; ``name`` is the LoRA's file.

    Raises:
        ValueError: it has one of the other expert already.
    """
    if not expert:
        return
    there = model.get_attachment(MARK)
    if there not in (None, expert):
        raise ValueError(
            f"{name} is for the {expert} expert, and the model already has a LoRA for the {there} one; "
            "load each on its own expert"
        )
    log.info("%s says that it is for the %s expert; no model says which it is, so make sure of it", name, expert)
    model.set_attachments(MARK, expert)


def check_pair(model: Any, model_2: Any) -> None:
    """Refuse two experts whose LoRAs say that they are the wrong way round.

    Raises:
        ValueError: their LoRAs are swapped.
    """
    slots = (("model", model, HIGH_NOISE, LOW_NOISE), ("model_2", model_2, LOW_NOISE, HIGH_NOISE))
    for name, slot, expert, other in slots:
        if slot.get_attachment(MARK) == other:
            raise ValueError(
                f"{name} takes the {expert} expert, and its LoRA is for the {other} one; "
                "swap the two models, or load the LoRA of the other file"
            )


def _with_model_shift(config: TrainConfig, model: Any, family: Family) -> TrainConfig:
    if config.shift != MODEL_SHIFT:
        return config
    shift = getattr(model.get_model_object("model_sampling"), "shift", None)
    if not isinstance(shift, (int, float)) or shift <= 0:
        raise ValueError(f"{family.name} samples without a shift; set shift to 1, or to a number of your own")
    return replace(config, shift=float(shift))
