"""The memory of a step counted without computing it equals that of the step when it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import packed_layers
import pytest
import tiny_families
import torch
from plan_subjects import aicl, clip_of, motion, tune_a_video

from pack.nodes.host.model.video_model import trainable_video_model
from pack.nodes.host.plan.memory_profile import counted_steps, profile_step
from pack.nodes.host.plan.subjects import Subject
from pack.training.core.config import CHECKPOINTING, TrainConfig

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING


def run_step(found: Subject, mode: str) -> int:
    config = replace(found.config, checkpointing=mode)
    with torch.inference_mode(), found.opened(found.model, config) as session:
        return profile_step(session, config, found.clip, tuple(found.clip.x0.shape)).memory


def tic_ft(name: str) -> Subject:
    (tiny,) = (tiny for tiny in tiny_families.ALL if tiny.name == name)
    return Subject(trainable_video_model(tiny_families.model_of(name)), TrainConfig(rank=8), clip_of(tiny))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((tic_ft, name) for name in ("Wan 2.1", "Wan 2.2 5B", "CogVideoX 5B", "CogVideoX 1.5")),
        *((method, name) for method in (motion, aicl) for name in ("Wan 2.1", "CogVideoX 5B")),
        (tune_a_video, "SD 1.5"),
    ],
)
def test_the_counted_step_is_the_one_that_is_run(make: Callable[[str], Subject], name: str):
    found = make(name)
    weights = dict(found.model.model.model.diffusion_model.named_parameters())
    counted = counted_steps(found.model, found.config, found.clip, found.opened)
    assert list(counted) == list(CHECKPOINTING)
    for mode in (OFF, KEEP_ATTENTION, BLOCKS):
        assert counted[mode] == pytest.approx(run_step(found, mode), rel=0.01)
    after = dict(found.model.model.model.diffusion_model.named_parameters())
    assert all(after[key] is weight for key, weight in weights.items())
    assert counted[OFFLOADED] <= counted[BLOCKS] <= counted[KEEP_ATTENTION] < counted[OFF]


def test_a_step_on_packed_layers_of_another_pack_is_counted_too(tmp_path):
    """They would unpack bytes that are not there; what one layer takes to unpack follows from its size."""
    model = packed_layers.load(tmp_path)
    found = Subject(trainable_video_model(model), TrainConfig(rank=8), clip_of(tiny_families.WAN))
    counted = counted_steps(found.model, found.config, found.clip, found.opened)
    for mode in (OFF, BLOCKS):
        assert counted[mode] == pytest.approx(run_step(found, mode), rel=0.05)
    assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())
