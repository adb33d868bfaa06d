"""TIC-FT without extra steps: a step that leads across a buffer's level carries it from there to the step's end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import comfy.samplers
import pytest
import tiny_families as families
import tiny_sampling as tiny
import torch
from comfy_extras.nodes_custom_sampler import (
    BasicScheduler,
    CFGGuider,
    DisableNoise,
    KSamplerSelect,
    RandomNoise,
    SamplerCustomAdvanced,
    SplitSigmas,
)

from pack.methods.tic_ft import Layout, insert_levels, sigma_layout
from pack.nodes.host.model.noise import process_of, repaired
from pack.nodes.host.sampling.buffer_steps import LargeSteps
from pack.nodes.host.sampling.context import BUFFER_STEPS, ContextRequest
from pack.nodes.host.sampling.wrappers import Context

LAYOUT = Layout.linear(1, 3, 3)
SAMPLERS = comfy.samplers.SAMPLER_NAMES
USUAL = ("simple", "normal", "sgm_uniform", "ddim_uniform", "beta")  # schedulers


def context_model(shift: float | None = None, layout: Layout = LAYOUT, **options: Any) -> tuple[Any, tiny.Scene]:
    start = tiny.scene(layout)
    model = Context(layout, start.x0, extra_steps=False, **options).put_on(tiny.tiny_model())
    return tiny.with_shift(model, shift), start


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 20])
@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc", "lcm"])
def test_a_run_costs_no_evaluation_more(sampler, shift, steps):
    (model, start), plain = context_model(shift), tiny.with_shift(tiny.tiny_model(), shift)
    model, calls = tiny.record(model, tiny.curved)
    bare, expected = tiny.record(plain, tiny.curved)
    tiny.sample(model, start, sampler, steps=steps)
    tiny.sample(bare, start, sampler, steps=steps)
    assert len(calls) <= len(expected)
    if not sampler.startswith("uni_pc"):  # its corrector looks once more where it goes on
        assert [call.sigma for call in calls] == [call.sigma for call in expected]


def test_euler_steps_a_network_of_discrete_timesteps_alike():
    model = repaired(families.model_of("CogVideoX 5B"))
    prompts = (families.COG_5B.conditioning(1), families.COG_5B.conditioning(2))
    start = tiny.scene(LAYOUT, model=model, prompts=prompts)
    ready = Context(LAYOUT, start.x0, extra_steps=False).put_on(model)
    ready, calls = tiny.record(ready, tiny.curved)
    output = tiny.sample(ready, start, steps=6)
    process = process_of(model)
    top = calls[0].sigma
    levels = torch.tensor([0.0, *sigma_layout(LAYOUT, process).levels, top, top, top], dtype=torch.float64)
    clean = torch.zeros_like(start.noise).double()
    clean[:, :, :4] = start.clean
    x = process.add_noise(clean, start.noise.double(), levels[None])
    points = [*(call.sigma for call in calls), 0.0]
    assert len(calls) == 6
    for call, sigma, following in zip(calls, points, points[1:], strict=False):
        own = levels.clamp(max=sigma)
        root = (1.0 + own.square()).sqrt().view(1, 1, -1, 1, 1)
        assert (call.x - x / root).abs().max() < 1e-3, sigma
        noise = (own.view(1, 1, -1, 1, 1) * x / root + call.velocity) / root
        x = x + (levels.clamp(max=following) - own).view(1, 1, -1, 1, 1) * noise
    expected = model.model.process_latent_out(x.float())
    assert (output - expected)[:, :, 1:].abs().max() < 1e-2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_holds_each_buffer_at_its_level_and_moves_it_on(sampler):
    model, start = context_model()
    model, calls = tiny.record(model, tiny.curved)
    output = tiny.sample(model, start, sampler, steps=5)
    assert torch.isfinite(output).all()
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    for frame, level in enumerate((0.0, *LAYOUT.levels)):
        above = [call for call in calls if call.sigma > level + 1e-5]
        assert above
        for call in above:
            assert (call.x[:, :, frame] == tiny.on_line(start.clean, start.noise, frame, level)).all(), call.sigma
        if level:
            assert not torch.equal(output[:, :, frame], start.x0[:, :, frame]), "the buffer never moved"


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2s_ancestral", "euler_ancestral", "lcm", "dpmpp_2m"])
def test_a_buffer_goes_from_its_level_with_the_first_velocity_of_the_step_that_leads_across_it(sampler):
    layout = Layout(0, 1, 3, (0.55,))
    model, start = context_model(1.0, layout)
    model, calls = tiny.record(model, tiny.curved)
    points = tiny.schedule(model, "simple", 5).tolist()
    tiny.sample(model, start, sampler, steps=5)
    ((first, last),) = [(a, b) for a, b in pairwise(points) if a > 0.55 > b]
    begun = next(i for i, call in enumerate(calls) if abs(call.sigma - first) < 1e-6)
    arrived = next(call for call in calls[begun + 1 :] if abs(call.sigma - last) < 1e-6)
    held = tiny.on_line(start.clean, start.noise, 0, 0.55)
    gone = held + (last - 0.55) * calls[begun].velocity[:, :, 0]
    assert (arrived.x[:, :, 0] - gone).abs().max() < 1e-5


@pytest.mark.parametrize("shift", [1.0, 5.0])
@pytest.mark.parametrize("cut", [1, 3, 4, 6, 7])
def test_a_split_run_equals_the_whole(cut, shift):
    model, start = context_model(shift)
    guider = CFGGuider.execute(model, tiny.POSITIVE, tiny.NEGATIVE, 2.0).args[0]
    euler = KSamplerSelect.execute("euler").args[0]
    sigmas = BasicScheduler.execute(model, "simple", 8, 1.0).args[0]
    high, low = SplitSigmas.execute(sigmas, cut).args
    noise, none = RandomNoise.execute(7).args[0], DisableNoise.execute().args[0]

    def run(some: torch.Tensor, latent: dict[str, Any], source: Any) -> dict[str, Any]:
        with torch.inference_mode():
            return SamplerCustomAdvanced.execute(source, guider, euler, some, latent).args[0]

    whole = run(sigmas, {"samples": start.latent}, noise)["samples"]
    parts = run(low, run(high, {"samples": start.latent}, noise), none)["samples"]
    assert (parts - whole).abs().max() <= 1e-5


def test_a_level_that_is_a_point_of_the_schedule_is_left_there_as_with_extra_steps():
    model, start = context_model(1.0)
    exact = tiny.with_shift(Context(LAYOUT, start.x0).put_on(tiny.tiny_model()), 1.0)
    assert {0.75, 0.5, 0.25} <= {round(sigma, 6) for sigma in tiny.schedule(model, "simple", 4).tolist()}
    assert torch.equal(tiny.sample(model, start, "dpmpp_2m"), tiny.sample(exact, start, "dpmpp_2m"))


def by_default(steps: int, shift: float, scheduler: str) -> int:
    """Evaluations of a run."""
    start = tiny.scene(LAYOUT)
    mode = BUFFER_STEPS[ContextRequest("image to video", 64, 64, 9).buffer_steps]
    model = tiny.with_shift(Context(LAYOUT, start.x0, extra_steps=mode).put_on(tiny.tiny_model()), shift)
    model, calls = tiny.record(model, tiny.curved)
    tiny.sample(model, start, scheduler=scheduler, steps=steps)
    return len(calls)


@pytest.mark.parametrize("steps", [4, 6, 8])
@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0, 8.0, 12.0])
@pytest.mark.parametrize("scheduler", USUAL)
def test_by_default_runs_of_few_steps_cost_no_evaluation_more(scheduler, shift, steps):
    model = tiny.with_shift(tiny.tiny_model(), shift)
    assert by_default(steps, shift, scheduler) == len(tiny.schedule(model, scheduler, steps)) - 1


@pytest.mark.parametrize("steps", [24, 30, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0, 8.0, 12.0])
@pytest.mark.parametrize("scheduler", USUAL)
def test_by_default_runs_of_many_steps_are_exact(scheduler, shift, steps):
    points = tiny.schedule(tiny.with_shift(tiny.tiny_model(), shift), scheduler, steps).tolist()
    assert by_default(steps, shift, scheduler) == len(insert_levels(points, LAYOUT)) - 1


@pytest.mark.parametrize(("steps", "added"), [(7, 0), (23, 3)])
def test_by_default_the_steps_of_a_network_of_discrete_timesteps_are_judged_alike(steps, added):
    model = repaired(families.model_of("CogVideoX 5B"))
    prompts = (families.COG_5B.conditioning(1), families.COG_5B.conditioning(2))
    start = tiny.scene(LAYOUT, model=model, prompts=prompts)
    ready, calls = tiny.record(Context(LAYOUT, start.x0, extra_steps=None).put_on(model), tiny.curved)
    tiny.sample(ready, start, steps=steps)
    assert len(calls) == steps + added


def test_the_place_of_a_sigma_is_its_share_of_the_models_timesteps():
    places = LargeSteps([0.1, 0.2, 0.6, 3.0]).place
    assert [places(sigma) for sigma in (0.0, 0.1, 0.2, 0.6, 3.0, 9.0)] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    assert [places(sigma) for sigma in (0.05, 0.4)] == pytest.approx([0.125, 0.625])


def test_timesteps_of_frames_are_those_of_their_levels():
    model, start = context_model(per_frame_timesteps=True)
    model, calls = tiny.record(model)
    tiny.sample(model, start, cfg=2.0)
    for call in calls:
        expected = LAYOUT.max_sigmas().clamp(max=call.sigma) * 1000
        assert torch.allclose(call.timestep, expected.expand(2, -1), atol=1e-2)
