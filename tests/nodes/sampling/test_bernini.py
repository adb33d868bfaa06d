"""Bernini, a Wan 2.2 14B with sources of its own in the sequence: TIC-FT works beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import published_tic_ft
import pytest
import tiny_sampling as tiny
import torch
from comfy_extras.nodes_bernini import BerniniConditioning
from diffusers import FlowMatchEulerDiscreteScheduler
from tic_ft_runs import train
from tiny_vae import PIXELS, clip, tiny_vae
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.loras import apply_lora
from pack.nodes.host.sampling.wrappers import Context

LAYOUT, STEPS = Layout.linear(1, 3, 3), 8
CLOSE = 1e-4


def with_sources() -> tuple[tuple[Any, Any], list[Tensor]]:
    """Both prompts with a clip and a picture as Bernini's node gives them, and their latents."""
    with torch.inference_mode():
        positive, negative, _ = BerniniConditioning.execute(
            tiny.POSITIVE, tiny.NEGATIVE, tiny_vae(), PIXELS, PIXELS, 9, 1, source_video=clip(9, 3),
            reference_video=clip(1, 5),
        ).result  # fmt: skip
    return (positive, negative), [latents.clone() for latents in positive[0][1]["context_latents"]]


def scene(prompts: tuple[Any, Any] = (tiny.POSITIVE, tiny.NEGATIVE), layout: Layout = LAYOUT) -> tiny.Scene:
    return tiny.scene(layout, model=tiny.with_shift(tiny.tiny_model(), 1.0), prompts=prompts)


@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_sampling_with_both_is_the_published_algorithm_on_a_network_with_sources(cfg):
    prompts, sources = with_sources()
    start = scene(prompts)
    output = tiny.sample(Context(LAYOUT, start.x0).put_on(start.model), start, steps=STEPS, cfg=cfg)
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    inner = start.model.model
    shown = [inner.process_latent_in(latents) for latents in sources]

    def network(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        with torch.inference_mode():
            return inner.diffusion_model(x, t.expand(len(x)), text, transformer_options={}, context_latents=shown)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        positive, negative = (network(x, t, prompt[0][0]) for prompt in prompts)
        return negative + cfg * (positive - negative)

    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / STEPS, STEPS).tolist())
    expected = published_tic_ft.sample(guided, scheduler, start.clean, start.noise, [250.0, 500.0, 750.0])
    expected = inner.process_latent_out(expected)
    assert float((output - expected).abs().max() / expected.abs().max()) <= CLOSE
    alone = tiny.sample(Context(LAYOUT, start.x0).put_on(start.model), scene(), steps=STEPS, cfg=cfg)
    assert float((output - alone).abs().max() / expected.abs().max()) > 100 * CLOSE


def test_without_condition_and_buffer_it_is_bernini_itself_bit_for_bit():
    layout = Layout(0, 0, 4)
    start = scene(with_sources()[0], layout)
    assert torch.equal(
        tiny.sample(Context(layout, start.x0).put_on(start.model), start), tiny.sample(start.model, start)
    )


def test_a_lora_trained_on_it_works_beside_its_sources():
    start = scene(with_sources()[0])
    lora = train(tiny.tiny_model(), "on bernini")[0]
    tuned = apply_lora(start.model, lora, 1.0, "on bernini")
    plain = tiny.sample(Context(LAYOUT, start.x0).put_on(start.model), start)
    output = tiny.sample(Context(LAYOUT, start.x0).put_on(tuned), start)
    assert torch.equal(output[:, :, :1], plain[:, :, :1])
    assert not torch.allclose(output[:, :, 1:], plain[:, :, 1:])


def test_a_timestep_per_frame_is_refused_beside_sources():
    """The host would share the timesteps out over the sources' tokens, too."""
    start = scene(with_sources()[0])
    with pytest.raises(ValueError, match=r"^Bernini's sources have no timestep of a frame's own; set timesteps of TIC"):
        tiny.sample(Context(LAYOUT, start.x0, per_frame_timesteps=True).put_on(start.model), start)
