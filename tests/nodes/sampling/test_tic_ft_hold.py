"""TIC-FT in the host's samplers: what is held stays exact, what is released moves from its level on."""

from __future__ import annotations

import comfy.samplers
import pytest
import tiny_sampling as tiny
import torch

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.wrappers import Context

LAYOUT = Layout.linear(1, 3, 3)
SAMPLERS = comfy.samplers.SAMPLER_NAMES
SCHEDULERS = ["simple", "normal", "karras", "beta", "linear_quadratic"]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_condition_latents_come_out_bit_for_bit(sampler, scheduler):
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0).put_on(tiny.tiny_model())
    output = tiny.sample(model, start, sampler, scheduler, steps=3)
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    assert torch.isfinite(output).all()
    assert output[:, :, 4:].std() > 0.1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_holds_each_buffer_at_its_level_and_releases_it_there(sampler):
    start = tiny.scene(LAYOUT)
    model, calls = tiny.record(Context(LAYOUT, start.x0).put_on(tiny.tiny_model()), tiny.curved)
    output = tiny.sample(model, start, sampler, steps=5)
    for frame, level in enumerate((0.0, *LAYOUT.levels)):
        released = next((i for i, call in enumerate(calls) if abs(call.sigma - level) < 1e-5), len(calls))
        for call in calls[:released]:
            expected = tiny.on_line(start.clean, start.noise, frame, min(call.sigma, level))
            assert (call.x[:, :, frame] == expected).all(), (sampler, frame, call.sigma)
        if level:
            assert released < len(calls), f"{sampler} never comes to {level}"
            expected = tiny.on_line(start.clean, start.noise, frame, level)
            assert (calls[released].x[:, :, frame] - expected).abs().max() < 1e-5
            assert not torch.equal(output[:, :, frame], start.x0[:, :, frame]), "the buffer never moved"


@pytest.mark.parametrize("extra_steps", [True, False], ids=["exact", "no extra steps"])
@pytest.mark.parametrize("steps", [1, 4, 8, 20])
@pytest.mark.parametrize("shift", [None, 3.0, 5.0, 8.0])
def test_euler_steps_every_frame_from_its_level_to_the_next(shift, steps, extra_steps):
    start = tiny.scene(LAYOUT)
    context = Context(LAYOUT, start.x0, extra_steps=extra_steps)
    base = tiny.with_shift(context.put_on(tiny.tiny_model()), shift)
    model, calls = tiny.record(base, tiny.curved)
    output = tiny.sample(model, start, steps=steps)

    levels = torch.tensor([0.0, *LAYOUT.levels, 1.0, 1.0, 1.0])
    plain = tiny.schedule(base, "simple", steps).tolist()
    own = torch.tensor(LAYOUT.levels).tolist() if extra_steps else []
    points = sorted({*plain, *own}, reverse=True)
    assert [call.sigma for call in calls] == pytest.approx(points[:-1], abs=1e-6)

    x = start.noise.clone()
    x[:, :, :4] = torch.stack([tiny.on_line(start.clean, start.noise, f, float(levels[f])) for f in range(4)], 2)
    for call, sigma, following in zip(calls, points, points[1:], strict=False):
        assert (call.x - x).abs().max() < 1e-4, sigma
        for frame in range(4):
            if sigma > levels[frame] + 1e-6:
                expected = tiny.on_line(start.clean, start.noise, frame, float(levels[frame]))
                assert torch.equal(call.x[:, :, frame], expected)
        change = levels.clamp(max=following) - levels.clamp(max=sigma)
        x = x + change.view(1, 1, -1, 1, 1) * call.velocity
    expected = tiny.tiny_model().model.process_latent_out(x)
    assert (output - expected)[:, :, 1:].abs().max() < 1e-4
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])


MULTISTEP = ["dpmpp_2m", "res_multistep", "uni_pc", "uni_pc_bh2", "lms", "ipndm", "ipndm_v", "deis", "dpmpp_3m_sde"]


@pytest.mark.parametrize("sampler", [*MULTISTEP, "gradient_estimation", "sa_solver", "er_sde"])
def test_what_the_network_says_of_a_held_buffer_changes_nothing(sampler):
    start = tiny.scene(LAYOUT)

    def poisoned(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        velocity = tiny.curved(x, sigma)
        for frame, level in enumerate((0.0, *LAYOUT.levels)):
            if float(sigma[0]) > level + 1e-5:
                velocity[:, :, frame] = 1e4
        return velocity

    base = Context(LAYOUT, start.x0).put_on(tiny.tiny_model())
    usual, odd = (tiny.record(base, network)[0] for network in (tiny.curved, poisoned))
    assert torch.equal(tiny.sample(usual, start, sampler, steps=6), tiny.sample(odd, start, sampler, steps=6))


class PlainModel:
    """What a k-sampler calls, without the host: x0 from the velocity."""

    def __init__(self, sampling: object) -> None:
        self.inner_model = self.model_patcher = self
        self.model_sampling = sampling

    def get_model_object(self, name: str) -> object:
        return getattr(self, name)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, **_: object) -> torch.Tensor:
        return x - sigma.view(-1, 1, 1, 1, 1) * tiny.curved(x, sigma)


@pytest.mark.parametrize("sampler", MULTISTEP)
def test_a_multistep_solver_goes_on_after_a_release_as_if_it_began_there(sampler):
    layout = Layout(0, 1, 3, (0.6,))
    start = tiny.scene(layout)
    base = tiny.with_shift(Context(layout, start.x0).put_on(tiny.tiny_model()), 3.0)
    model, calls = tiny.record(base, tiny.curved)
    output = tiny.sample(model, start, sampler, steps=8)

    sampling = base.get_model_object("model_sampling")
    sigmas = comfy.samplers.KSampler(base, 8, torch.device("cpu"), sampler, "simple", 1.0).sigmas
    rest = torch.cat([torch.tensor([0.6]), sigmas[sigmas < 0.6]])
    state = next(call.x for call in calls if abs(call.sigma - 0.6) < 1e-6)
    if sampler.startswith("uni_pc"):  # its last look before the release is at the same level
        state = [call.x for call in calls if abs(call.sigma - 0.6) < 1e-6][-1]
    function = comfy.samplers.sampler_object(sampler).sampler_function
    with torch.inference_mode():
        alone = function(PlainModel(sampling), state.clone(), rest, {"seed": 3 + 7919}, None, True)
    expected = tiny.tiny_model().model.process_latent_out(alone)
    assert (output - expected).abs().max() < 1e-4
