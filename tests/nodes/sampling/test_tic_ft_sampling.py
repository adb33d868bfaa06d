"""A TIC-FT context beside everything else a sampler run may have."""

from __future__ import annotations

import logging
import re
from typing import Any

import comfy.lora
import comfy.samplers
import comfy.sd
import pytest
import tiny_sampling as tiny
import torch
from comfy_extras.nodes_custom_sampler import (
    BasicScheduler,
    CFGGuider,
    FlipSigmas,
    KSamplerSelect,
    RandomNoise,
    SamplerCustomAdvanced,
)
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.host.services.keys import TIC_FT_KEY

LAYOUT = Layout.linear(1, 3, 3)


def context_model(layout: Layout = LAYOUT, batch: int = 1, **options: Any) -> tuple[Any, tiny.Scene]:
    start = tiny.scene(layout, batch)
    return Context(layout, start.x0, **options).put_on(tiny.tiny_model()), start


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.model.diffusion_model.state_dict().items()}


@pytest.mark.parametrize(
    "sampler", ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_3m_sde", "uni_pc", "euler_cfg_pp", "dpm_fast"]
)
def test_no_condition_and_no_buffer_is_plain_sampling_bit_for_bit(sampler):
    model, start = context_model(Layout(0, 0, 3))
    plain = tiny.sample(tiny.tiny_model(), start, sampler, cfg=2.0)
    assert torch.equal(tiny.sample(model, start, sampler, cfg=2.0), plain)


def test_the_base_model_is_untouched():
    base = tiny.tiny_model()
    start = tiny.scene(LAYOUT)
    plain, before = tiny.sample(base, start, cfg=2.0), weights(base)
    contextual = tiny.sample(Context(LAYOUT, start.x0).put_on(base), start, cfg=2.0)
    assert not torch.equal(contextual, plain)
    assert torch.equal(tiny.sample(base, start, cfg=2.0), plain)
    assert all(torch.equal(before[name], value) for name, value in weights(base).items())
    assert not base.object_patches
    assert not any(TIC_FT_KEY in kinds for kinds in base.wrappers.values())


@pytest.mark.parametrize("layout", [Layout(0, 3, 2, (0.2, 0.5, 0.9)), Layout(7, 0, 2), Layout.linear(2, 6, 1)])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_sde", "uni_pc"])
def test_any_counts_sample(layout, sampler):
    model, start = context_model(layout)
    output = tiny.sample(model, start, sampler)
    assert torch.equal(output[:, :, : layout.condition], start.x0[:, :, : layout.condition])
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("sampler", comfy.samplers.SAMPLER_NAMES)
def test_sampler_custom_advanced_keeps_the_condition_in_both_of_its_outputs(sampler):
    model, start = context_model()
    guider = CFGGuider.execute(model, tiny.POSITIVE, tiny.NEGATIVE, 2.0).args[0]
    sigmas = BasicScheduler.execute(model, "simple", 3, 1.0).args[0]
    solver = KSamplerSelect.execute(sampler).args[0]
    with torch.inference_mode():
        output, denoised = SamplerCustomAdvanced.execute(
            RandomNoise.execute(5).args[0], guider, solver, sigmas, {"samples": start.latent, "tic_ft": "kept"}
        ).args
    assert torch.equal(output["samples"][:, :, :1], start.x0[:, :, :1])
    assert (denoised["samples"][:, :, :1] - start.x0[:, :, :1]).abs().max() <= 1e-5
    assert output["tic_ft"] == "kept"


def test_guidance_shows_both_prompts_the_same_held_frames():
    model, start = context_model()
    model, calls = tiny.record(model)
    output = tiny.sample(model, start, cfg=3.0)
    assert all(sorted(call.kinds) == [0, 1] and call.x.shape[0] == 2 for call in calls)
    x = start.noise.clone()
    levels = LAYOUT.max_sigmas()
    x[:, :, :4] = torch.stack([tiny.on_line(start.clean, start.noise, f, float(levels[f])) for f in range(4)], 2)
    for call, following in zip(calls, [*(call.sigma for call in calls[1:]), 0.0], strict=True):
        assert torch.equal(call.x[0], call.x[1])
        assert (call.x[:1] - x).abs().max() < 1e-4
        positive, negative = (call.velocity[call.kinds.index(kind)] for kind in (0, 1))
        change = levels.clamp(max=following) - levels.clamp(max=call.sigma)
        x = x + change.view(1, 1, -1, 1, 1) * (negative + 3.0 * (positive - negative))
    assert (output - tiny.tiny_model().model.process_latent_out(x))[:, :, 1:].abs().max() < 1e-4


def test_a_batch_equals_its_videos_alone():
    model, start = context_model(batch=2)
    both = tiny.sample(model, start, cfg=2.0)
    for i in range(2):
        alone = tiny.Scene(start.x0, start.latent[i : i + 1], start.noise[i : i + 1])
        assert (tiny.sample(model, alone, cfg=2.0) - both[i : i + 1]).abs().max() < 1e-4
    assert not torch.equal(both[0, :, 4:], both[1, :, 4:])


@pytest.mark.parametrize("denoise", [0.3, 0.5, 0.8])
def test_partial_denoise_holds_the_same_frames(denoise):
    model, start = context_model()
    model = tiny.with_shift(model, 1.0)
    start.latent[:, :, 4:] = torch.randn(start.latent[:, :, 4:].shape, generator=torch.Generator().manual_seed(9))
    model, calls = tiny.record(model)
    output = tiny.sample(model, start, denoise=denoise)
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    assert calls[0].sigma == pytest.approx(denoise, abs=0.05)
    for call in calls:
        for frame, level in enumerate((0.0, *LAYOUT.levels)):
            if call.sigma > level + 1e-6 or call is calls[0]:
                expected = tiny.on_line(start.clean, start.noise, frame, min(level, call.sigma))
                assert (call.x[:, :, frame] - expected).abs().max() < 1e-5


def test_one_context_serves_samplers_one_after_another():
    model, start = context_model()
    first = tiny.sample(model, start, "dpmpp_2m", cfg=2.0)
    other = tiny.sample(model, start, "euler_ancestral", "beta", steps=6, seed=11)
    again, _ = context_model()
    assert torch.equal(tiny.sample(again, start, "euler_ancestral", "beta", steps=6, seed=11), other)
    assert torch.equal(tiny.sample(model, start, "dpmpp_2m", cfg=2.0), first)


def test_one_context_serves_a_run_inside_a_run():
    start, other = tiny.scene(LAYOUT), tiny.scene(LAYOUT, batch=2, seed=4)
    context = Context(LAYOUT, start.x0)
    outer, inner = context.put_on(tiny.tiny_model()), context.put_on(tiny.tiny_model(1))
    other.latent[:, :, :4] = start.x0
    expected, expected_inner = tiny.sample(outer, start), tiny.sample(inner, other, "heun")
    seen = []
    nested = tiny.sample(outer, start, callback=lambda *_: seen.append(tiny.sample(inner, other, "heun")))
    assert torch.equal(nested, expected)
    assert seen
    assert all(torch.equal(output, expected_inner) for output in seen)


def test_a_run_that_fails_leaves_nothing_behind():
    model, start = context_model()
    expected = tiny.sample(model, start)

    def stop(*_: Any) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tiny.sample(model, start, "dpmpp_2m", callback=stop)
    assert torch.equal(tiny.sample(model, start), expected)


def test_the_last_context_put_on_a_model_is_the_one_that_counts():
    layout = Layout.linear(2, 1, 4)
    first, second = tiny.scene(LAYOUT), tiny.scene(layout, seed=2)
    stacked = Context(layout, second.x0).put_on(Context(LAYOUT, first.x0, True).put_on(tiny.tiny_model()))
    alone = Context(layout, second.x0).put_on(tiny.tiny_model())
    assert torch.equal(tiny.sample(stacked, second), tiny.sample(alone, second))


def test_a_lora_may_come_before_or_after_the_context():
    base, start = tiny.tiny_model(), tiny.scene(LAYOUT)
    generator = torch.Generator().manual_seed(0)
    lora = {}
    for name in ("blocks.0.self_attn.q", "blocks.1.cross_attn.v"):
        lora[f"diffusion_model.{name}.lora_up.weight"] = torch.randn(48, 4, generator=generator)
        lora[f"diffusion_model.{name}.lora_down.weight"] = torch.randn(4, 48, generator=generator)
    context = Context(LAYOUT, start.x0)
    before = context.put_on(comfy.sd.load_lora_for_models(base, None, lora, 1.0, 0)[0])
    after = comfy.sd.load_lora_for_models(context.put_on(base), None, lora, 1.0, 0)[0]
    outputs = [tiny.sample(model, start) for model in (before, after, context.put_on(base))]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2], atol=1e-3)
    assert torch.equal(outputs[0][:, :, :1], start.x0[:, :, :1])


@pytest.mark.parametrize("differential", [False, True])
def test_a_mask_of_the_users_still_keeps_what_it_masks(differential):
    start = tiny.scene(LAYOUT)
    start.latent[:, :, 4:] = torch.randn(start.latent[:, :, 4:].shape, generator=torch.Generator().manual_seed(9))
    mask = torch.ones(1, 1, LAYOUT.frames, tiny.SIZE, tiny.SIZE)
    mask[:, :, 4:, :2] = 0.0  # the upper half of the target stays
    context = Context(LAYOUT, start.x0)

    def masked(model: Any) -> Any:
        return DifferentialDiffusion.execute(model).args[0] if differential else model

    first, calls = tiny.record(masked(context.put_on(tiny.tiny_model())))
    output = tiny.sample(first, start, noise_mask=mask.clone())
    assert (output[:, :, 4:, :2] - start.latent[:, :, 4:, :2]).abs().max() < 1e-5
    assert (output[:, :, 4:, 2:] - start.latent[:, :, 4:, 2:]).abs().max() > 0.1
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    for call in calls:
        for frame, level in enumerate((0.0, *LAYOUT.levels)):
            if call.sigma > level + 1e-6:
                expected = tiny.on_line(start.clean, start.noise, frame, level)
                assert torch.equal(call.x[:, :, frame], expected)
    second = context.put_on(masked(tiny.tiny_model()))
    assert torch.equal(tiny.sample(second, start, noise_mask=mask.clone()), output)


def test_per_frame_timesteps_tell_the_network_every_frames_level():
    model, start = context_model(batch=2, per_frame_timesteps=True)
    model, calls = tiny.record(model)
    output = tiny.sample(model, start, cfg=2.0)
    for call in calls:
        expected = LAYOUT.max_sigmas().clamp(max=call.sigma) * 1000
        assert call.timestep.shape == (4, LAYOUT.frames)  # two videos, two prompts
        assert torch.allclose(call.timestep, expected.expand(4, -1), atol=1e-2)
    scalar, _ = context_model(batch=2)
    scalar, calls = tiny.record(scalar)
    assert not torch.allclose(tiny.sample(scalar, start, cfg=2.0), output, atol=1e-3)
    assert all(call.timestep.ndim == 1 for call in calls)


def test_a_latent_of_another_length_is_refused_in_one_sentence():
    model, _ = context_model()
    wrong = tiny.scene(Layout.linear(1, 3, 5))
    expected = (
        "the sampler got a latent of shape [1, 16, 9, 4, 4], its TIC-FT model needs one of 7 frames (1 + 3 + 3), "
        "16 channels and 4 x 4; wire the LATENT of the same TICFTContext to the sampler"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        tiny.sample(model, wrong)


def test_a_rising_schedule_is_refused_in_one_sentence():
    model, start = context_model()
    guider = CFGGuider.execute(model, tiny.POSITIVE, tiny.NEGATIVE, 1.0).args[0]
    sigmas = FlipSigmas.execute(BasicScheduler.execute(model, "simple", 3, 1.0).args[0]).args[0]
    with pytest.raises(ValueError, match=r"^TIC-FT got sigmas that rise .* take Flip Sigmas out$"):
        SamplerCustomAdvanced.execute(
            RandomNoise.execute(5).args[0],
            guider,
            KSamplerSelect.execute("euler").args[0],
            sigmas,
            {"samples": start.latent},
        )


@pytest.mark.parametrize("sampler", ["dpm_fast", "dpm_adaptive", "uni_pc", "euler", "lms"])
def test_a_last_release_right_before_the_end_leaves_no_noise(sampler):
    model, start = context_model()
    goal = torch.randn(start.noise.shape, generator=torch.Generator().manual_seed(8))

    def straight(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return (x - goal) / sigma.view(-1, 1, 1, 1, 1)

    model, calls = tiny.record(model, straight)
    output = tiny.sample(model, start, sampler)
    assert calls[-1].sigma == pytest.approx(0.25, abs=1e-5)
    expected = tiny.tiny_model().model.process_latent_out(goal)
    assert (output - expected)[:, :, 1:].abs().max() < 0.05


@pytest.mark.parametrize(("sampler", "told"), [("uni_pc", 1), ("uni_pc_bh2", 1), ("dpmpp_2m", 0), ("euler", 0)])
def test_steps_that_euler_takes_for_a_sampler_are_told_once_a_run(sampler, told, caplog):
    model, start = context_model()
    for run in (1, 2):
        with caplog.at_level(logging.INFO):
            tiny.sample(model, start, sampler, steps=4)
        lines = [record.message for record in caplog.records if "Euler takes it" in record.message]
        assert len(lines) == told * run
    assert all("unipc" in line for line in lines)


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 20])
@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
def test_a_run_costs_at_most_one_evaluation_a_buffer_more(steps, shift):
    model, start = context_model()
    model, calls = tiny.record(tiny.with_shift(model, shift), tiny.curved)
    tiny.sample(model, start, steps=steps)
    assert steps <= len(calls) <= steps + LAYOUT.buffer


def test_progress_counts_over_all_evaluations():
    model, start = context_model()
    seen: list[tuple[int, int]] = []
    tiny.sample(model, start, steps=5, callback=lambda step, *more: seen.append((step, more[-1])))
    assert seen == [(i, len(seen)) for i in range(len(seen))]
