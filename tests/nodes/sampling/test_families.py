"""TIC-FT on every family: the exactness that Wan 2.1 has in `test_tic_ft_hold.py` and `test_tic_ft_split.py`."""

from __future__ import annotations

import re
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
    KSamplerSelect,
    RandomNoise,
    SamplerCustomAdvanced,
)
from tiny_families import Tiny
from tiny_vae import PIXELS, clip, tiny_vae
from torch import Tensor

import nodes as host_nodes
from pack.methods.tic_ft import Layout
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.tic_ft import TICFTContext

OTHERS = [family for family in families.ALL if family is not families.WAN]
EVERY = pytest.mark.parametrize("family", OTHERS, ids=lambda family: family.name)
# One of each kind: plain, two evaluations, multistep, ancestral, with noise, predictor-corrector, own schedule, other.
SAMPLERS = (
    "euler", "heun", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde", "uni_pc", "dpm_fast", "lcm", "ddim", "euler_cfg_pp",
    "dpm_adaptive", "res_multistep", "dpm_2", "lms",
)  # fmt: skip
SPLIT_STEPS, SEED = 6, 7


def layout_of(family: Tiny) -> Layout:
    return Layout.linear(1, 3, 3) if family.time_patch == 1 else Layout.linear(2, 4, 4)


def scene(family: Tiny, layout: Layout | None = None, batch: int = 1, seed: int = 0) -> tiny.Scene:
    prompts = (family.conditioning(1), family.conditioning(2))
    return tiny.scene(layout or layout_of(family), batch, seed, families.model_of(family.name), prompts=prompts)


def context_model(family: Tiny, layout: Layout | None = None, batch: int = 1, **options: Any) -> tuple[Any, tiny.Scene]:
    layout = layout or layout_of(family)
    start = scene(family, layout, batch)
    return Context(layout, start.x0, **options).put_on(repaired(start.model)), start


def own_sigmas(family: Tiny, model: Any, layout: Layout) -> list[float]:
    """Sigma each frame of the prefix is held at: the level itself, or that of the timestep it is the share of."""
    if family.flow:
        return [0.0] * layout.condition + torch.tensor(layout.levels).tolist()
    table = model.get_model_object("model_sampling").sigmas
    steps = [round(level * len(table)) - 1 for level in layout.levels]
    return [0.0] * layout.condition + [float(table[step]) for step in steps]


def state(family: Tiny, clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """A solver's state: ``(1 - s) x0 + s n`` of a flow, else ``x0 + s n``."""
    s = torch.tensor(sigma, dtype=torch.float32)
    return (1.0 - s) * clean + s * noise if family.flow else clean + s * noise


def scaled(family: Tiny, x: Tensor, sigma: float) -> Tensor:
    """What the network sees of a state."""
    return x if family.flow else x / (1.0 + sigma**2) ** 0.5


def shown(family: Tiny, start: tiny.Scene, frame: int, sigma: float) -> Tensor:
    clean, noise = start.clean[:, :, frame], start.noise[:, :, frame]
    return scaled(family, state(family, clean, noise, sigma), sigma)


def off(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("sampler", SAMPLERS)
@EVERY
def test_held_frames_are_shown_at_their_level_and_released_there(family, sampler):
    model, start = context_model(family)
    model, calls = tiny.record(model, tiny.curved)
    output = tiny.sample(model, start, sampler, steps=5)
    layout = layout_of(family)
    for frame, level in enumerate(own_sigmas(family, model, layout)):
        released = next((i for i, call in enumerate(calls) if abs(call.sigma - level) <= 1e-5 * level), len(calls))
        for call in calls[:released]:
            expected = shown(family, start, frame, min(call.sigma, level))
            assert off(call.x[:, :, frame], expected) <= 1e-5 * (not family.flow), (frame, call.sigma)
        if level:
            assert released < len(calls), f"{sampler} never comes to {level}"
            assert off(calls[released].x[:, :, frame], shown(family, start, frame, level)) <= 1e-5
            assert not torch.equal(output[:, :, frame], start.x0[:, :, frame]), "the buffer never moved"
    assert torch.equal(output[:, :, : layout.condition], start.x0[:, :, : layout.condition])
    assert torch.isfinite(output).all()


@EVERY
def test_every_sampler_of_the_host_keeps_the_condition_bit_for_bit(family):
    model, start = context_model(family)
    model, _ = tiny.record(model, tiny.curved)
    count = layout_of(family).condition
    for sampler in comfy.samplers.SAMPLER_NAMES:
        output = tiny.sample(model, start, sampler, steps=2)
        assert torch.equal(output[:, :, :count], start.x0[:, :, :count]), sampler
        assert torch.isfinite(output).all(), sampler


@pytest.mark.parametrize("scheduler", ["normal", "karras", "beta", "sgm_uniform", "ddim_uniform", "linear_quadratic"])
@EVERY
def test_condition_latents_come_out_bit_for_bit_from_the_network_itself(family, scheduler):
    model, start = context_model(family, batch=2)
    clean = slice(0, layout_of(family).condition)
    for sampler in ("euler", "dpmpp_2m", "euler_ancestral"):
        output = tiny.sample(model, start, sampler, scheduler, steps=4, cfg=3.0)
        assert torch.equal(output[:, :, clean], start.x0[:, :, clean].expand(2, -1, -1, -1, -1))
        assert torch.isfinite(output).all()
        assert output[:, :, layout_of(family).target_slice].std() > 0.1


def euler(family: Tiny, start: tiny.Scene, own: list[float], points: list[float]) -> tuple[list[Tensor], Tensor]:
    """The whole run in double precision: what the network sees at each point, and the result in the model's space."""
    clean, noise = start.clean.double(), start.noise.double()
    top = torch.tensor([*own, *[float("inf")] * (noise.shape[2] - len(own))], dtype=torch.float64)
    clean = torch.cat([clean, torch.zeros_like(noise[:, :, len(own) :])], 2)

    def per_frame(sigma: float) -> Tensor:
        return top.clamp(max=sigma).view(1, 1, -1, 1, 1)

    s = per_frame(points[0])
    x = (1 - s) * clean + s * noise if family.flow else clean + s * noise
    seen = []
    for sigma, following in pairwise(points):
        s = per_frame(sigma)
        scale = torch.ones_like(s) if family.flow else (1 + s**2).sqrt()
        seen.append(x / scale)
        v = tiny.curved(seen[-1], torch.tensor([sigma], dtype=torch.float64))
        # x0 = x / scale^2 - v s / scale, and the slope is (x - x0) / s.
        slope = v if family.flow else (x * s / scale + v) / scale
        x = x + (per_frame(following) - s) * slope
    return seen, x


@pytest.mark.parametrize("steps", [4, 12])
@EVERY
def test_euler_steps_every_frame_from_its_level_to_the_next(family, steps):
    layout = layout_of(family)
    base, start = context_model(family)
    model, calls = tiny.record(base, tiny.curved)
    output = tiny.sample(model, start, steps=steps)
    own = own_sigmas(family, model, layout)
    plain = tiny.schedule(base, "simple", steps).tolist()
    points = sorted({*plain, *own}, reverse=True)
    assert [call.sigma for call in calls] == pytest.approx(points[:-1], rel=1e-6)
    seen, result = euler(family, start, own, points)
    for call, expected in zip(calls, seen, strict=True):
        assert off(call.x, expected.float()) <= 1e-4
    # Stepping down from sigma_max (4518 where it is not 1) rounds a state of four standard deviations to half an ulp.
    rounded = 4 * plain[0] * 2.0**-24
    moved = start.model.model.process_latent_in(output)[:, :, layout.condition :]
    assert (moved - result[:, :, layout.condition :]).abs().max() <= 1e-4 + 2 * rounded


def advanced(model: Any, start: tiny.Scene, latent: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    """KSamplerAdvanced as two chained nodes use it."""
    whole = last > SPLIT_STEPS
    with torch.inference_mode():
        return host_nodes.KSamplerAdvanced().sample(
            model, "enable" if first == 0 else "disable", SEED, SPLIT_STEPS, 2.0, "euler", "simple",
            *start.prompts, latent, first, last, "disable" if whole else "enable",
        )[0]  # fmt: skip


@EVERY
def test_two_ksamplers_equal_one(family):
    model, start = context_model(family)
    model = tiny.record(model, tiny.curved)[0]
    latent = {"samples": start.latent}
    whole = advanced(model, start, latent, 0, 10000)["samples"]
    for cut in range(1, SPLIT_STEPS):
        half = advanced(model, start, latent, 0, cut)
        assert off(advanced(model, start, half, cut, 10000)["samples"], whole) <= 1e-5, cut


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral", "uni_pc", "dpm_fast", "ddim"])
@EVERY
def test_no_condition_and_no_buffer_is_plain_sampling_bit_for_bit(family, sampler):
    model, start = context_model(family, Layout(0, 0, 4))
    plain = tiny.sample(repaired(start.model), start, sampler, cfg=2.0)
    assert torch.equal(tiny.sample(model, start, sampler, cfg=2.0), plain)


@EVERY
def test_guidance_shows_both_prompts_the_same_held_frames(family):
    model, start = context_model(family, batch=2)
    layout = layout_of(family)
    model, calls = tiny.record(model)
    both = tiny.sample(model, start, cfg=3.0)
    for call in calls:
        assert sorted(call.kinds) == [0, 1]
        first, second = call.x.chunk(2)
        assert torch.equal(first, second)
        held = [level < call.sigma * (1 - 1e-6) for level in own_sigmas(family, model, layout)]
        for frame in (frame for frame, is_held in enumerate(held) if is_held):
            expected = shown(family, start, frame, own_sigmas(family, model, layout)[frame])
            assert off(first[:, :, frame], expected) <= 1e-5
    for i in range(2):
        alone = tiny.scene(layout, model=start.model, prompts=start.prompts)
        alone.latent, alone.noise = start.latent[i : i + 1], start.noise[i : i + 1]
        assert off(tiny.sample(model, alone, cfg=3.0), both[i : i + 1]) <= 1e-4
    assert not torch.equal(both[0, :, layout.target_slice], both[1, :, layout.target_slice])


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "uni_pc", "res_multistep", "lms", "deis", "dpmpp_3m_sde", "ddim"])
@EVERY
def test_what_the_network_says_of_a_held_buffer_changes_nothing(family, sampler):
    model, start = context_model(family)
    own = own_sigmas(family, model, layout_of(family))

    def poisoned(x: Tensor, sigma: Tensor) -> Tensor:
        velocity = tiny.curved(x, sigma)
        for frame, level in enumerate(own):
            if float(sigma[0]) > level * (1 + 1e-5):
                velocity[:, :, frame] = 1e4
        return velocity

    usual, odd = (tiny.record(model, network)[0] for network in (tiny.curved, poisoned))
    assert torch.equal(tiny.sample(usual, start, sampler, steps=6), tiny.sample(odd, start, sampler, steps=6))


@pytest.mark.parametrize("denoise", [0.3, 0.7])
@EVERY
def test_partial_denoise_holds_the_same_frames(family, denoise):
    layout = layout_of(family)
    model, start = context_model(family)
    start.latent[:, :, layout.target_slice] = torch.randn(
        start.latent[:, :, layout.target_slice].shape, generator=torch.Generator().manual_seed(9)
    )
    model, calls = tiny.record(model, tiny.curved)
    output = tiny.sample(model, start, denoise=denoise)
    assert torch.equal(output[:, :, : layout.condition], start.x0[:, :, : layout.condition])
    assert calls[0].sigma < tiny.schedule(model, "simple", 4)[0]
    for call in calls:
        for frame, level in enumerate(own_sigmas(family, model, layout)):
            if call.sigma > level * (1 + 1e-6) or call is calls[0]:
                expected = shown(family, start, frame, min(level, call.sigma))
                assert off(call.x[:, :, frame], expected) <= 1e-5


@EVERY
def test_both_outputs_of_sampler_custom_advanced_keep_the_condition(family):
    model, start = context_model(family)
    guider = CFGGuider.execute(model, *start.prompts, 2.0).args[0]
    sigmas = BasicScheduler.execute(model, "simple", 3, 1.0).args[0]
    solver = KSamplerSelect.execute("dpmpp_2m").args[0]
    with torch.inference_mode():
        latents = SamplerCustomAdvanced.execute(
            RandomNoise.execute(5).args[0], guider, solver, sigmas, {"samples": start.latent}
        ).args
    output, denoised = (latent["samples"][:, :, : layout_of(family).condition] for latent in latents)
    clean = start.x0[:, :, : layout_of(family).condition]
    assert torch.equal(output, clean)
    assert (denoised - clean).abs().max() <= 1e-5


@EVERY
def test_a_mask_of_the_users_still_keeps_what_it_masks(family):
    layout = layout_of(family)
    model, start = context_model(family)
    target = start.latent[:, :, layout.target_slice]
    target.copy_(torch.randn(target.shape, generator=torch.Generator().manual_seed(9)))
    mask = torch.ones(1, 1, layout.frames, tiny.SIZE, tiny.SIZE)
    mask[:, :, layout.target_slice, :2] = 0.0  # the upper half of the target stays
    model, calls = tiny.record(model)
    output = tiny.sample(model, start, noise_mask=mask)
    made = output[:, :, layout.target_slice]
    assert off(made[..., :2, :], target[..., :2, :]) <= 1e-5
    assert off(made[..., 2:, :], target[..., 2:, :]) > 0.1
    assert torch.equal(output[:, :, : layout.condition], start.x0[:, :, : layout.condition])
    for call in calls:
        for frame, level in enumerate(own_sigmas(family, model, layout)):
            if call.sigma > level * (1 + 1e-6):
                assert off(call.x[:, :, frame], shown(family, start, frame, level)) <= 1e-5


def test_wan_2_2_5b_is_told_every_frames_level():
    layout = layout_of(families.WAN_5B)
    model, start = context_model(families.WAN_5B, batch=2, per_frame_timesteps=True)
    model, calls = tiny.record(model)
    output = tiny.sample(model, start, cfg=2.0)
    for call in calls:
        expected = layout.max_sigmas().clamp(max=call.sigma) * 1000
        assert call.timestep.shape == (4, layout.frames)  # two videos, two prompts
        assert torch.allclose(call.timestep, expected.expand(4, -1), atol=1e-2)
    scalar, _ = context_model(families.WAN_5B, batch=2)
    assert not torch.allclose(tiny.sample(scalar, start, cfg=2.0), output, atol=1e-3)


def experts(second: str = "Wan 2.1") -> tuple[Any, dict[str, Any], Any]:
    """The two experts of Wan 2.2 14B, which are Wan 2.1 networks, with one context behind the host's shift node."""
    models = (tiny.with_shift(model, 8.0) for model in (families.model_of("Wan 2.1"), families.model_of(second, 1)))
    with torch.inference_mode():
        return TICFTContext.execute(
            next(models), tiny_vae(), "image to video", PIXELS, PIXELS, 8, condition=clip(1), model_2=next(models)
        ).args


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_two_experts_equal_one_model_that_changes_at_the_cut(cut):
    high, latent, low = experts()
    start = tiny.scene(Layout.linear(1, 3, 2))
    border = float(tiny.schedule(high, "simple", SPLIT_STEPS)[cut])

    def other(x: Tensor, sigma: Tensor) -> Tensor:
        return 0.7 * x - 0.2 * tiny.curved(x, sigma)

    def either(x: Tensor, sigma: Tensor) -> Tensor:
        return (tiny.curved if float(sigma[0]) > border * (1 + 1e-6) else other)(x, sigma)

    whole = advanced(tiny.record(high, either)[0], start, latent, 0, 10000)["samples"]
    half = advanced(tiny.record(high, tiny.curved)[0], start, latent, 0, cut)
    assert torch.equal(half["samples"][:, :, :1], latent["samples"][:, :, :1])
    assert half["tic_ft"] == latent["tic_ft"]
    done = advanced(tiny.record(low, other)[0], start, half, cut, 10000)
    assert off(done["samples"], whole) <= 1e-5
    assert torch.equal(done["samples"][:, :, :1], latent["samples"][:, :, :1])


def test_each_expert_samples_with_its_own_weights():
    high, latent, low = experts()
    start = tiny.scene(Layout.linear(1, 3, 2))
    half = advanced(high, start, latent, 0, 3)
    with_low, with_high = (advanced(model, start, half, 3, 10000)["samples"] for model in (low, high))
    assert off(with_low, with_high) > 1e-2


def test_experts_of_two_families_are_refused():
    sentence = "model is Wan 2.1 and model_2 is Wan 2.2 5B; connect two experts of the same family"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        experts("Wan 2.2 5B")
