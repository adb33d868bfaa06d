"""Values read from the device while it samples: each makes the card wait for what was asked of it before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import tiny_aicl
import tiny_sampling as tiny
import torch
from device_reads import count_reads

from pack.methods.tic_ft import Layout
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.sampling.motion import apply_motion
from pack.nodes.host.sampling.wrappers import Context
from pack.training.lora.file import LoraModel

LAYOUT = Layout.linear(1, 3, 3)
ON_CPU = ("sigma_layout",)  # its levels never leave the CPU


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often this pack's own code took each line's values out of a tensor."""
    return count_reads(monkeypatch, ON_CPU)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "res_multistep"])
@pytest.mark.parametrize("extra_steps", [True, False])
@pytest.mark.parametrize("per_frame", [True, False])
def test_a_run_with_a_context_reads_its_schedule_and_nothing_else(reads, sampler, extra_steps, per_frame):
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0, per_frame, extra_steps=extra_steps).put_on(tiny.tiny_model())
    tiny.sample(model, start, sampler, steps=10)
    assert list(reads.values()) == [1], reads


def test_by_default_a_run_reads_the_models_sigmas_besides(reads):
    start = tiny.scene(LAYOUT)
    tiny.sample(Context(LAYOUT, start.x0, extra_steps=None).put_on(tiny.tiny_model()), start, steps=10)
    assert list(reads.values()) == [1, 1], reads


def with_lora(start: float = 0.0, end: float = 1.0) -> Any:
    up, down = torch.ones(48, 1), torch.ones(1, 48)
    layer = "diffusion_model.blocks.0.self_attn.q"
    lora = LoraModel({f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down})
    return apply_motion(tiny.tiny_model(), lora, 1.0, start, end)


def test_a_lora_that_always_acts_reads_nothing(reads):
    tiny.sample(with_lora(), tiny.scene(Layout(0, 0, 4)), steps=8)
    assert not reads


def test_a_lora_in_a_window_reads_each_level_once(reads):
    tiny.sample(with_lora(0.2, 0.8), tiny.scene(Layout(0, 0, 4)), steps=8)
    assert list(reads.values()) == [8], reads


def test_an_action_that_always_acts_reads_nothing(reads):
    start = tiny_aicl.start("Wan 2.1")
    model = apply_action(tiny_aicl.model_of("Wan 2.1"), tiny_aicl.action_of("Wan 2.1"), 1.0)
    reads.clear()  # what it took to put it on
    tiny_aicl.sample(model, "Wan 2.1", start, steps=8)
    assert not reads
