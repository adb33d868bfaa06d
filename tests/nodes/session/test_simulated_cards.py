"""Where the host puts the weights of the public models on cards that nobody has here.

The networks have their true sizes and no numbers, the device is torch's ``meta``, and what is free of it is patched;
then the host's own partial loading decides about each layer.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.ops
import pytest
import torch

from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.plan.memory_profile import LargestClip, simulated_step
from pack.nodes.host.session.placement import Room, free_for_training, lending_buffer, load_for_training
from pack.nodes.host.session.step_size import counted_step
from pack.training.core.config import CHECKPOINTING, TrainConfig
from pack.training.core.placement import CARDS, KEPT_BACK, Weights, first_way
from pack.training.core.plan import MARGIN

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts" / "bench"))

from parts.memory.public_models import MODELS, true_size

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING
GIB = 2**30
META = torch.device("meta")
TYPES = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


def named(name: str) -> Any:
    return next(model for model in MODELS if name in model.name)


# GiB of a step of 13 latents at rank 128 with the margin, of the table that scripts/bench/vram.py prints.
STEPS = {
    "1.3B": {OFF: 29.1, BLOCKS: 3.8, OFFLOADED: 3.0},
    "Wan 2.2 5B": {OFF: 26.1, BLOCKS: 4.6, OFFLOADED: 4.4},
    "14B": {OFF: 109.9, BLOCKS: 13.8, OFFLOADED: 10.7},
    "CogVideoX 5B": {OFF: 46.4, BLOCKS: 6.9, OFFLOADED: 4.3},
}


@pytest.fixture
def card(monkeypatch) -> Any:
    def of(gib: float) -> None:
        total = gib * GIB - KEPT_BACK

        def free(_device: Any = None, torch_free_too: bool = False) -> Any:
            left = total - sum(one.model_loaded_memory() for one in management.current_loaded_models if one.model)
            return (left, 0) if torch_free_too else left

        monkeypatch.setattr(management, "get_free_memory", free)
        monkeypatch.setattr(management, "get_total_memory", lambda *_args: total)
        monkeypatch.setattr(management, "vram_state", management.VRAMState.NORMAL_VRAM)
        monkeypatch.setattr(management, "extra_reserved_memory", lambda: 0)
        # The host gives weights without numbers some, in this computer's memory, which has no room for 14B.
        monkeypatch.setattr(comfy.ops.disable_weight_init, "_zero_init_parameter", lambda *_args: None)

    yield of
    management.current_loaded_models.clear()


@pytest.mark.parametrize("stored", TYPES)
@pytest.mark.parametrize("name", ["1.3B", "Wan 2.2 5B", "14B", "CogVideoX 5B"])
def test_the_host_keeps_what_leaves_room_for_the_step_on_every_card(card, name, stored):
    steps = {mode: step * GIB for mode, step in STEPS[name].items()}
    resident = []
    for size in CARDS:
        model = true_size(named(name), TYPES[stored])
        whole, buffer = model.model_size(), lending_buffer(model)
        card(size)
        free = free_for_training(META)
        way = first_way(steps, Weights(whole, buffer), free)
        if way is None:
            continue
        step = steps[way.checkpointing]
        placed = load_for_training(model, Room(step))
        assert placed.resident + placed.lent == whole
        assert step + placed.resident + model.model.model_offload_buffer_memory <= free
        # Not less than the plan promises, but for the layer that no longer fitted and the host's own least room.
        least = max(step, management.minimum_inference_memory())
        assert placed.resident >= min(whole, free - least - 2 * buffer)
        resident.append(placed.resident / whole)
    assert resident == sorted(resident)
    assert resident[-1] == 1.0


@pytest.mark.parametrize(
    ("name", "stored", "size", "checkpointing", "whole"),
    [
        ("14B", "bf16", 80, BLOCKS, True),
        ("14B", "bf16", 24, BLOCKS, False),
        ("14B", "bf16", 16, BLOCKS, False),
        ("14B", "fp8", 32, BLOCKS, True),
        ("14B", "fp8", 24, BLOCKS, False),
        ("14B", "fp8", 8, None, False),
        ("Wan 2.2 5B", "bf16", 16, BLOCKS, True),
        ("Wan 2.2 5B", "bf16", 48, OFF, True),
        ("CogVideoX 5B", "bf16", 12, BLOCKS, False),
        ("1.3B", "bf16", 8, BLOCKS, True),
        ("1.3B", "bf16", 48, OFF, True),
    ],
)
def test_what_each_card_does(name, stored, size, checkpointing, whole):
    model = true_size(named(name), TYPES[stored])
    weights = Weights(model.model_size(), lending_buffer(model))
    steps = {mode: step * GIB for mode, step in STEPS[name].items()}
    way = first_way(steps, weights, size * GIB - KEPT_BACK)
    assert (way and way.checkpointing) == checkpointing
    assert (way is not None and way.most >= weights.whole) == whole


@pytest.mark.parametrize(("name", "mode"), [("14B", BLOCKS), ("1.3B", OFF)])
def test_the_steps_are_those_of_the_table(name, mode):
    public = named(name)
    model = true_size(public, torch.bfloat16)
    with torch.inference_mode():
        video = video_model(model)
    x0 = torch.empty(public.channels, 13, *public.latent)
    text = {"cross_attn": torch.empty(public.tokens, public.text)}
    clip = LargestClip(x0, text, 4, (video.family.time_patch, 2, 2), video.process)
    config = TrainConfig(rank=128, checkpointing=mode)
    counted = counted_step(video, config, partial(simulated_step, clip, config))
    assert counted * MARGIN / GIB == pytest.approx(STEPS[name][mode], abs=0.06)
    assert model.model_size() / GIB == pytest.approx({"14B": 26.6, "1.3B": 2.6}[name], abs=0.06)
