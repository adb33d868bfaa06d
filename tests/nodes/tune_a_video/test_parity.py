"""Tune-A-Video in the host equals our own oracle, written with diffusers' blocks on the same random weights."""

from __future__ import annotations

from functools import cache

import comfy.samplers
import comfy.utils
import pytest
import tiny_unet
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from diffusers_tune_a_video import Oracle
from tiny_unet import CONFIG, answer, clip, text
from tuned_models import tuned_of

import nodes as host_nodes
from pack.methods.tune_a_video import PER_FRAME, POOLED, Tuned
from pack.nodes.host.model.image_model import base_of
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.nodes.inversion import FewShotInversion
from pack.training.tune_a_video.presets import AS_PUBLISHED

BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SPACING = {"timestep_spacing": "leading", "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": True}
STEPS, CFG = 4, 7.5
TEXTS = {0: text(1), 1: text(2)}
ORDERS = [[0], [1], [1, 0], [0, 1], [1, 0, 1, 0]]


@cache
def oracle(kind: str = "SD15", group_norms: str = PER_FRAME, tuned: bool = True) -> Oracle:
    model = tiny_unet.fresh_unet(velocity=kind == "SD20", kind=kind)  # whose weights no run has patched
    made = tuned_of(model, group_norms) if tuned else Tuned(base_of(model))
    weights = {name: value.clone() for name, value in model.model.diffusion_model.state_dict().items()}
    for name, delta in made.queries.items():
        weights[f"{name}.weight"] += delta
    names = comfy.utils.unet_to_diffusers(CONFIG)
    return Oracle(weights, names, made.temporal, group_norms == POOLED, kind)


@pytest.mark.parametrize(
    ("frames", "kinds"), [(1, [1, 0]), (24, [0]), (24, [1, 0]), *((8, order) for order in ORDERS)], ids=str
)
def test_the_network_is_that_of_the_oracle_whatever_the_order_of_the_batch(frames, kinds):
    model = tiny_unet.tiny_unet()
    x = clip(frames, 3, len(kinds))
    ours = answer(apply_tuned(model, tuned_of(model), 1.0), x, 601, kinds, TEXTS)
    torch.testing.assert_close(ours, oracle()(x, 601, [TEXTS[kind] for kind in kinds]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("tuned", [True, False])
@pytest.mark.parametrize("kind", ["SD15", "SD20"])
@pytest.mark.parametrize("group_norms", [PER_FRAME, POOLED])
def test_both_families_and_both_group_norms_are_those_of_the_oracle(kind, group_norms, tuned):
    model = tiny_unet.tiny_unet(kind == "SD20", kind)
    made = tuned_of(model, group_norms) if tuned else Tuned(base_of(model), group_norms=group_norms)
    x = clip(8, 4, 2)
    ours = answer(apply_tuned(model, made, 1.0), x, 41, [1, 0], TEXTS)
    expected = oracle(kind, group_norms, tuned)(x, 41, [TEXTS[1], TEXTS[0]])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)


def test_the_oracles_differ_by_far_more_than_the_tolerance():
    x = clip(8, 4, 2)
    outputs = [
        oracle(group_norms=norms, tuned=tuned)(x, 41, [TEXTS[1], TEXTS[0]])
        for norms in (PER_FRAME, POOLED)
        for tuned in (True, False)
    ]
    pairs = [(a, b) for i, a in enumerate(outputs) for b in outputs[:i]]
    assert all(float((a - b).abs().max()) > 0.01 for a, b in pairs)


def inverted_by_diffusers(
    network: Oracle, x: torch.Tensor, velocity: bool, from_zero: bool = True, steps: int = STEPS
) -> torch.Tensor:
    """DDIM inversion without guidance; a velocity is turned into noise at the level the network was given.

    ``from_zero``: clean latents stand for no noise, else for the level of timestep 0, as in the published scheduler.
    """
    scheduler = DDIMInverseScheduler(**BETAS, **{**SPACING, "set_alpha_to_one": from_zero})
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        output = network(x, float(timestep), [TEXTS[0]])
        if velocity:
            alpha = scheduler.alphas_cumprod[timestep]
            output = alpha.sqrt() * output + (1 - alpha).sqrt() * x
        x = scheduler.step(output, timestep, x).prev_sample
    return x


def sampled_by_diffusers(network: Oracle, x: torch.Tensor, velocity: bool, cfg: float) -> torch.Tensor:
    """DDIM with guidance."""
    scheduler = DDIMScheduler(**BETAS, **SPACING, prediction_type="v_prediction" if velocity else "epsilon")
    scheduler.set_timesteps(STEPS)
    for timestep in scheduler.timesteps:
        positive = network(x, float(timestep), [TEXTS[0]])
        negative = network(x, float(timestep), [TEXTS[1]])
        x = scheduler.step(negative + cfg * (positive - negative), timestep, x).prev_sample
    return x


@pytest.mark.parametrize(
    ("frames", "velocity", "cfg"), [(8, False, 1.0), (8, False, CFG), (8, True, CFG), (1, True, 1.0)]
)
def test_inversion_and_sampling_through_the_host_are_those_of_diffusers(frames, velocity, cfg):
    kind = "SD20" if velocity else "SD15"
    base = tiny_unet.tiny_unet(velocity, kind)
    model = apply_tuned(base, tuned_of(base), 1.0)
    x0 = clip(frames, 9)
    source = {"samples": base.model.process_latent_out(x0.clone())}
    with torch.inference_mode():
        latent, noise = FewShotInversion.execute(
            model, tiny_unet.conditioning(1), source, STEPS, scheduler="ddim_uniform"
        ).result
        (edited,) = host_nodes.KSamplerAdvanced().sample(
            model, "disable", 0, STEPS, cfg, "ddim", "ddim_uniform", tiny_unet.conditioning(1),
            tiny_unet.conditioning(2), latent, 0, 10000, "disable",
        )  # fmt: skip
    expected = inverted_by_diffusers(oracle(kind), x0, velocity)
    sigma = comfy.samplers.calculate_sigmas(base.get_model_object("model_sampling"), "ddim_uniform", STEPS)[0]
    found = base.model.process_latent_in(latent["samples"]) / (1 + sigma**2).sqrt()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(noise.samples * sigma / (1 + sigma**2).sqrt(), expected, rtol=0, atol=1e-4)
    sampled = sampled_by_diffusers(oracle(kind), expected, velocity, cfg)
    result = base.model.process_latent_in(edited["samples"])
    torch.testing.assert_close(result, sampled, rtol=1e-4, atol=1e-4 * float(sampled.abs().max()))


@pytest.mark.parametrize("velocity", [False, True])
def test_inversion_as_published_is_that_of_the_published_scheduler_on_every_second_frame(velocity):
    kind = "SD20" if velocity else "SD15"
    base = tiny_unet.tiny_unet(velocity, kind)
    model = apply_tuned(base, tuned_of(base, POOLED), 1.0)
    x0 = clip(50, 9)
    source = {"samples": base.model.process_latent_out(x0.clone())}
    with torch.inference_mode():
        # What the preset sets counts, whatever the inputs say.
        latent, _ = FewShotInversion.execute(
            model, tiny_unet.conditioning(1), source, 10, scheduler="karras", cfg=1.0, stride=5, preset=AS_PUBLISHED
        ).result
    seen = x0[:48:2]
    expected = inverted_by_diffusers(oracle(kind, POOLED), seen, velocity, from_zero=False, steps=10)
    sigma = comfy.samplers.calculate_sigmas(base.get_model_object("model_sampling"), "ddim_uniform", 10)[0]
    found = base.model.process_latent_in(latent["samples"]) / (1 + sigma**2).sqrt()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    other = inverted_by_diffusers(oracle(kind, POOLED), seen, velocity, steps=10)
    assert (expected - other).abs().max() > 1e-3  # the first level matters
