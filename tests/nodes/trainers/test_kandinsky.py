"""Kandinsky 5: diffusers' own answers, and what of its inputs is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import comfy.ldm.kandinsky5.model as network
import pytest
import tiny_families as tiny
import tiny_sampling
import torch
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.wrappers import Context

sys.path.append(str(Path(__file__).resolve().parents[3] / "scripts" / "bench"))

import parity

CLOSE, ROUNDED = 1e-4, 1e-3


@pytest.fixture(params=["as in the host", "as in diffusers"])
def goal(request, monkeypatch) -> float:
    """diffusers rounds what RoPE has turned to bf16, whatever it computes in; with that in the host they are alike."""
    if request.param == "as in the host":
        return ROUNDED
    turn = network.apply_rope1

    def rounded(x: Tensor, turned: Any) -> Tensor:
        return turn(x, turned).to(torch.bfloat16).to(x)

    monkeypatch.setattr(network, "apply_rope1", rounded)
    return CLOSE


def test_a_training_step_is_diffusers_own(goal):
    with torch.inference_mode():
        answer, loss = parity.training(parity.Subject(tiny.KANDINSKY))
    assert answer <= goal
    assert loss <= CLOSE


def test_sampling_is_the_published_algorithm_on_diffusers_network(goal):
    with torch.inference_mode():
        assert parity.sampling(parity.Subject(tiny.KANDINSKY)) <= goal


def test_prompts_with_an_image_are_refused_beside_a_context():
    layout, ((text, extra),) = Layout.linear(1, 3, 3), tiny.KANDINSKY.conditioning(1)
    prompt = [[text, {**extra, "time_dim_replace": torch.zeros(1, 16, 1, 4, 4)}]]
    start = tiny_sampling.scene(layout, model=tiny.model_of("Kandinsky 5"), prompts=(prompt, prompt))
    with pytest.raises(ValueError, match=r"^the prompts carry an image for Kandinsky 5, whose image inputs stay empty"):
        tiny_sampling.sample(Context(layout, start.x0).put_on(start.model), start)
