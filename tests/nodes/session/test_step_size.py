"""The memory of a step counted without computing it equals that of the step when it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import packed_layers
import pytest
import tiny_families
import tiny_wan
import torch
from plan_subjects import aicl, clip_of, motion, tune_a_video

from pack.nodes.host.model.video_model import trainable_video_model
from pack.nodes.host.plan.memory_profile import counted_at_true_size, counted_steps, profile_step
from pack.nodes.host.plan.subjects import Subject
from pack.training.core.config import CHECKPOINTING, TrainConfig
from pack.training.core.placement import step_keeping

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING


def run_step(found: Subject, mode: str, kept: int = 0) -> int:
    config = replace(found.config, checkpointing=mode, kept_blocks=kept)
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


@pytest.mark.parametrize(
    ("make", "name", "depth"), [(tic_ft, "Wan 2.1", 2), (aicl, "CogVideoX 5B", 2), (tune_a_video, "SD 1.5", 16)]
)
def test_a_step_in_which_some_blocks_keep_everything_is_counted_too(make: Callable[[str], Subject], name, depth):
    found = make(name)
    off, blocks = (run_step(found, mode) for mode in (OFF, BLOCKS))
    some = replace(found.config, checkpointing=BLOCKS, kept_blocks=depth // 2)
    counted = counted_at_true_size(found.model, some, found.clip, found.opened)
    assert counted == pytest.approx(run_step(found, BLOCKS, depth // 2), rel=0.01)
    assert blocks <= counted < off


def test_of_a_deep_network_all_blocks_are_counted_and_the_line_says_no_less(tmp_path):
    path = tiny_wan.save_tiny_wan(tmp_path / "deep.safetensors", num_layers=12)
    model, clip = trainable_video_model(tiny_wan.load_tiny_wan(path)), clip_of(tiny_families.WAN)
    found = Subject(model, TrainConfig(rank=8), clip)
    steps = counted_steps(model, found.config, clip)
    for kept in (1, 4, 9):
        some = replace(found.config, checkpointing=BLOCKS, kept_blocks=kept)
        counted = counted_at_true_size(model, some, clip, found.opened)
        assert counted == pytest.approx(run_step(found, BLOCKS, kept), rel=0.01)
        line = step_keeping(steps, BLOCKS, kept, 12)
        assert line - (steps[OFF] - steps[BLOCKS]) / 11 <= counted <= line


def test_a_step_on_packed_layers_of_another_pack_is_counted_too(tmp_path):
    """They would unpack bytes that are not there; what one layer takes to unpack follows from its size."""
    model = packed_layers.load(tmp_path)
    found = Subject(trainable_video_model(model), TrainConfig(rank=8), clip_of(tiny_families.WAN))
    counted = counted_steps(found.model, found.config, found.clip, found.opened)
    for mode in (OFF, BLOCKS):
        assert counted[mode] == pytest.approx(run_step(found, mode), rel=0.05)
    assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())
