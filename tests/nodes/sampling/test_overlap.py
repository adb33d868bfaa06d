"""Target frames that are given clean, in the middle of a TIC-FT sequence, with every sampler of the host."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import comfy.samplers
import pytest
import tiny_sampling as tiny
import torch

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.wrappers import Context

LAYOUT = replace(Layout.linear(1, 3, 4), overlap=2)
GIVEN = slice(4, 6)


def given_model(layout: Layout = LAYOUT, **options: Any) -> tuple[Any, tiny.Scene]:
    """The tiny model with a context whose overlap holds random latents, and what to sample."""
    start = tiny.scene(layout)
    overlap = torch.randn(1, 16, layout.overlap, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(8))
    known = torch.cat([start.x0, overlap], dim=2)
    start.latent[:, :, : layout.known] = known
    start = tiny.Scene(known, start.latent, start.noise)
    return Context(layout, known, **options).put_on(tiny.tiny_model()), start


@pytest.mark.parametrize("extra_steps", [True, False])
@pytest.mark.parametrize("sampler", comfy.samplers.SAMPLER_NAMES)
def test_every_sampler_gives_the_overlap_back_bit_for_bit(sampler, extra_steps):
    model, start = given_model(extra_steps=extra_steps)
    output = tiny.sample(model, start, sampler, steps=3)
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    assert torch.equal(output[:, :, GIVEN], start.x0[:, :, GIVEN])
    assert torch.isfinite(output).all()
    assert not torch.equal(output[:, :, 6:], start.latent[:, :, 6:])


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun", "euler_ancestral", "uni_pc"])
def test_the_network_is_shown_the_overlap_clean_at_every_level(sampler):
    model, start = given_model()
    model, calls = tiny.record(model)
    tiny.sample(model, start, sampler)
    for call in calls:
        assert (call.x[:, :, GIVEN] - start.clean[:, :, GIVEN]).abs().max() < 1e-5
    for frame, level in enumerate((0.0, *LAYOUT.levels)):  # the prefix is shown as ever
        shown = tiny.on_line(start.clean, start.noise, frame, level)
        assert (calls[0].x[:, :, frame] - shown).abs().max() < 1e-5


def test_the_new_frames_are_those_of_euler_by_hand():
    model, start = given_model()
    output = tiny.sample(tiny.record(model, tiny.curved)[0], start, "euler")
    layout, x = LAYOUT, start.noise.clone()
    points = torch.cat([tiny.schedule(tiny.tiny_model(), "simple", 4), torch.tensor(layout.levels)])
    points = points.unique().flip(0)
    tops = layout.max_sigmas().view(1, 1, -1, 1, 1)
    known = (1 - tops[:, :, :6]) * start.clean + tops[:, :, :6] * start.noise[:, :, :6]
    x[:, :, :6] = known
    for sigma, following in pairwise(points):
        velocity = tiny.curved(x, sigma[None])
        x = x + (following.clamp(max=tops) - sigma.clamp(max=tops)) * velocity
    expected = tiny.tiny_model().model.process_latent_out(x)
    assert (output - expected)[:, :, 6:].abs().max() < 1e-4


def test_timesteps_of_an_overlap_are_those_of_clean_frames():
    model, start = given_model(per_frame_timesteps=True)
    model, calls = tiny.record(model)
    tiny.sample(model, start)
    for call in calls:
        assert torch.equal(call.timestep[0, GIVEN], torch.zeros(2))
        assert float(call.timestep[0, 6]) == pytest.approx(call.sigma * 1000, rel=1e-3)


def test_split_sampling_of_a_window_equals_unsplit():
    model, start = given_model()
    whole = tiny.sample(model, start, "euler", steps=6)
    first = tiny.sample(model, start, "euler", steps=6, last_step=3, force_full_denoise=False)
    second = tiny.Scene(start.x0, first, torch.zeros_like(start.noise))
    rest = tiny.sample(model, second, "euler", steps=6, start_step=3, disable_noise=True)
    assert (rest - whole).abs().max() < 1e-4


def test_an_overlap_alone_goes_on_from_a_video_without_condition():
    layout = replace(Layout(0, 0, 5), overlap=2)
    model, start = given_model(layout)
    output = tiny.sample(model, start, "dpmpp_2m")
    assert torch.equal(output[:, :, :2], start.x0)
    plain = Context(Layout(0, 0, 5), start.x0[:, :, :0]).put_on(tiny.tiny_model())
    assert not torch.allclose(output[:, :, 2:], tiny.sample(plain, start, "dpmpp_2m")[:, :, 2:], atol=1e-3)
