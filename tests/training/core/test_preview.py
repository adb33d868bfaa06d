"""Sampling while training: the method's own rule, with the network's own output."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from pack.methods.ddpm import DdpmProcess
from pack.methods.flow import FLOW
from pack.methods.tic_ft import Layout, frame_sigmas, sigma_layout
from pack.training.core.preview import PreviewSettings, preview_latents, sample_frozen, split

DDPM = DdpmProcess(torch.cat([torch.linspace(0.01, 8.0, 99), torch.tensor([5000.0])]))
LAYOUT = Layout.linear(1, 2, 3)
SCHEDULES = {FLOW: torch.linspace(1.0, 0.0, 6), DDPM: torch.tensor([5000.0, 4.0, 1.0, 0.2, 0.0])}
processes = pytest.mark.parametrize("process", SCHEDULES, ids=["flow", "ddpm"])


def latents(seed: int, frames: int = LAYOUT.frames) -> torch.Tensor:
    return torch.randn(1, 2, frames, 3, 3, generator=torch.Generator().manual_seed(seed))


@processes
def test_clean_latents_and_noise_are_found_again_in_input_and_output(process):
    x0, noise = latents(0), latents(1)
    sigmas = torch.tensor([[0.0, 0.01, 0.3, 0.5, 0.9, 1.0]])
    xt = process.network_input(x0, noise, sigmas)
    found = split(process, xt, process.target(x0, noise, sigmas), sigmas)
    torch.testing.assert_close(found[0], x0, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], noise, atol=1e-4, rtol=1e-4)


@processes
def test_a_network_that_knows_the_answer_gives_it(process):
    clean, noise = latents(0), latents(1)
    layout = sigma_layout(LAYOUT, process)

    def predict(_xt, sigma):
        return process.target(clean, noise, frame_sigmas(layout, sigma))

    made = sample_frozen(predict, clean, noise, layout, process, SCHEDULES[process])
    torch.testing.assert_close(made, clean, atol=1e-3, rtol=0)


@processes
def test_every_frame_is_shown_held_until_its_level_and_released_exactly_there(process):
    clean, noise = latents(0), latents(1)
    layout = sigma_layout(LAYOUT, process)
    seen = []

    def predict(xt, sigma):
        seen.append((float(sigma), xt))
        return 0.1 * xt

    made = sample_frozen(predict, clean, noise, layout, process, SCHEDULES[process])
    levels = [float(level) for level in layout.levels]
    assert set(levels) <= {sigma for sigma, _ in seen}
    for sigma, xt in seen:
        at = process.network_input(clean, noise, frame_sigmas(layout, torch.tensor([sigma])))
        held = layout.condition + sum(level <= sigma for level in levels)  # one just released has not moved yet
        assert torch.equal(xt[:, :, :held], at[:, :, :held])
        if held < layout.prefix:
            assert not torch.allclose(xt[:, :, held : layout.prefix], at[:, :, held : layout.prefix])
    assert torch.equal(made[:, :, : layout.condition], clean[:, :, : layout.condition])
    assert not torch.allclose(made[:, :, 1:3], clean[:, :, 1:3])


def test_without_a_prefix_it_is_euler():
    layout, noise = Layout(0, 0, 6), latents(1)
    sigmas = torch.tensor([1.0, 0.7, 0.3, 0.0])

    def predict(xt, sigma):
        return torch.sin(2 * xt + sigma)

    x = noise.clone()
    for sigma, after in pairwise(sigmas):
        x = x + (after - sigma) * predict(x, sigma)
    made = sample_frozen(predict, latents(0), noise, layout, FLOW, sigmas)
    torch.testing.assert_close(made, x, atol=1e-5, rtol=1e-5)


def test_per_frame_levels_reach_a_network_that_takes_them():
    told = []

    def predict(xt, sigma):
        told.append(sigma)
        return xt

    sample_frozen(predict, latents(0), latents(1), LAYOUT, FLOW, SCHEDULES[FLOW], per_frame=True)
    assert torch.equal(told[0], torch.tensor([[0.0, *LAYOUT.levels, 1.0, 1.0, 1.0]]))


def objective(clips: int = 2, frames: int = LAYOUT.frames):
    captions = [{"cross_attn": torch.full((1, 1), float(i))} for i in range(clips)]
    return SimpleNamespace(
        x0=[latents(i, frames)[0] for i in range(clips)],
        conditioning=captions,
        unconditional={"cross_attn": torch.full((1, 1), -1.0)},
        layout=LAYOUT,
        process=FLOW,
    )


def network(xt, sigma, conditioning):
    return 0.3 * xt + sigma.mean() + sum(float(part["cross_attn"]) for part in conditioning)


def preview(order: PreviewSettings | None = None, predict=network, **values):
    return preview_latents(objective(**values), predict, SCHEDULES[FLOW], order or PreviewSettings(), "cpu")


def test_the_same_order_gives_the_same_preview_and_draws_no_random_number_of_the_runs():
    state = torch.get_rng_state()
    first = preview()
    assert torch.equal(first, preview())
    assert torch.equal(state, torch.get_rng_state())
    assert first.shape == objective().x0[0].shape
    assert torch.equal(first[:, :1], objective().x0[0][:, :1])


@pytest.mark.parametrize("order", [PreviewSettings(seed=1), PreviewSettings(clip=1)])
def test_another_seed_or_clip_gives_another_preview(order):
    assert not torch.allclose(preview(order), preview())


def test_a_clip_of_another_bucket_has_its_own_length():
    assert preview(frames=9).shape[1] == 9


def test_guidance_goes_further_from_the_empty_caption():
    def predict(xt, _sigma, conditioning):
        return torch.full_like(xt, float(conditioning[0]["cross_attn"]))  # caption 0, empty caption -1

    plain, guided = preview(predict=predict), preview(PreviewSettings(guidance=3.0), predict=predict)
    torch.testing.assert_close(plain[:, 3:] - guided[:, 3:], torch.full_like(plain[:, 3:], 2.0))


def test_the_user_can_cancel_a_preview_between_evaluations():
    asked = []

    def on_step(done, total):
        asked.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preview_latents(objective(), network, SCHEDULES[FLOW], PreviewSettings(), "cpu", on_step=on_step)
    assert asked == [(0, 7), (1, 7), (2, 7)]


@pytest.mark.parametrize("values", [{"steps": 0}, {"clip": -1}, {"guidance": 0.5}])
def test_an_order_that_means_nothing_is_refused(values):
    with pytest.raises(ValueError, match="give a clip of 0 or more, at least one step and a guidance of at least 1"):
        PreviewSettings(**values)


def test_a_clip_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="a preview of clip 2 was asked for, there are 2; use 0 to 1"):
        preview(PreviewSettings(clip=2))
