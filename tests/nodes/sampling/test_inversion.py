"""Inversion in the host: its own schedules and samplers lead back to where it came from."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import comfy.sample
import comfy.samplers
import pytest
import tiny_sampling
import tiny_unet
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic, SamplerCustomAdvanced
from gaussian_data import GaussianData
from torch import Tensor

import nodes as host_nodes
from pack.nodes.host.sampling.inversion import InvertedNoise
from pack.nodes.host.sampling.inversion import invert as invert_order
from pack.nodes.host.sampling.inversion_inputs import InversionSettings
from pack.nodes.inversion import FewShotInversion

WAN_SHAPE = (1, 16, 3, tiny_sampling.SIZE, tiny_sampling.SIZE)


def on_gaussian(flow: bool, velocity: bool = False) -> tuple[Any, Any, Tensor]:
    """A host MODEL whose network is the exact one for Gaussian data, a prompt for it, and source latents."""
    data = GaussianData(flow)
    base = tiny_sampling.with_shift(tiny_sampling.tiny_model(), 2.0) if flow else tiny_unet.tiny_unet(velocity)

    def network(x: Tensor, sigma: Tensor) -> Tensor:
        s = float(sigma[0])
        state = x.double() * (1.0 if flow else math.hypot(1.0, s))
        slope = (state - data.denoised(state, s)) / s
        velocity_of = (slope - s * data.denoised(state, s)) / math.hypot(1.0, s)
        return (velocity_of if velocity else slope).float()

    model, _ = tiny_sampling.record(base, network)
    clean = data.draw(*(WAN_SHAPE if flow else (3, 4, 4, 4))).float()
    prompt = tiny_sampling.POSITIVE if flow else tiny_unet.conditioning(1)
    return model, prompt, base.model.process_latent_out(clean)


def invert(model: Any, prompt: Any, samples: Tensor, steps: int, **options: Any) -> tuple[dict, Any]:
    """The node, in inference mode as the executor runs it."""
    with torch.inference_mode():
        return FewShotInversion.execute(model, prompt, {"samples": samples}, steps, **options).result


def ksampler(
    model: Any, prompt: Any, latent: dict, steps: int, scheduler: str = "simple", sampler: str = "euler"
) -> Tensor:
    """KSampler (Advanced) with added noise off."""
    with torch.inference_mode():
        (out,) = host_nodes.KSamplerAdvanced().sample(
            model, "disable", 7, steps, 1.0, sampler, scheduler, prompt, prompt, latent, 0, 10000, "disable"
        )
    return out["samples"]


def custom(model: Any, prompt: Any, noise: Any, latent: dict, steps: int, scheduler: str = "simple") -> Tensor:
    """SamplerCustomAdvanced with Euler."""
    guider = Guider_Basic(model)
    guider.set_conds(prompt)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
    with torch.inference_mode():
        sampler = comfy.samplers.sampler_object("euler")
        return SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result[0]["samples"]


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.std())


def falls_at_order(errors: list[float], expected: float) -> bool:
    return all(math.log2(before / after) == pytest.approx(expected, abs=0.25) for before, after in pairwise(errors))


@pytest.mark.parametrize("velocity", [False, True], ids=["noise", "velocity"])
def test_ksampler_with_added_noise_off_makes_the_clip_again_and_nearer_with_more_steps(velocity):
    model, prompt, samples = on_gaussian(False, velocity)
    errors = []
    for steps in (50, 100, 200):
        latent, _ = invert(model, prompt, samples, steps, scheduler="simple")
        errors.append(error(ksampler(model, prompt, latent, steps), samples))
    assert errors[-1] < 0.05
    assert falls_at_order(errors, 1.0)


def test_a_flow_is_started_from_noise_and_an_empty_latent_and_comes_nearer_with_more_steps():
    model, prompt, samples = on_gaussian(True)
    errors = []
    for steps in (40, 80, 160):
        latent, noise = invert(model, prompt, samples, steps, scheduler="simple", method="ddim")
        assert not torch.count_nonzero(latent["samples"])
        errors.append(error(custom(model, prompt, noise, latent, steps), samples))
    assert errors[-1] < 0.05
    assert falls_at_order(errors, 1.0)


@pytest.mark.parametrize("flow", [True, False], ids=["flow", "ddpm"])
@pytest.mark.parametrize("scheduler", ["simple", "normal", "karras", "beta"])
def test_fixed_points_undo_the_hosts_euler_with_few_steps(flow, scheduler):
    model, prompt, samples = on_gaussian(flow)
    latent, noise = invert(model, prompt, samples, 10, scheduler=scheduler, method="fixed-point", iterations=60)
    empty = {"samples": torch.zeros_like(samples)}
    assert error(custom(model, prompt, noise, empty, 10, scheduler), samples) < 2e-3
    if not flow:
        assert error(ksampler(model, prompt, latent, 10, scheduler), samples) < 2e-3


def test_the_automatic_method_is_the_papers_and_fixed_points_for_a_flow():
    for flow, method in ((True, "fixed-point"), (False, "ddim")):
        model, prompt, samples = on_gaussian(flow)
        found = [invert(model, prompt, samples, 6, method=name)[1].samples for name in ("automatic", method)]
        assert torch.equal(*found)


def test_mid_points_find_the_true_noise_best():
    model, prompt, samples = on_gaussian(True)
    clean = model.model.process_latent_in(samples.clone())
    true = GaussianData(True).state(clean.double(), 1.0)
    missed = {
        method: error(invert(model, prompt, samples, 20, scheduler="simple", method=method)[1].samples.double(), true)
        for method in ("mid-point", "ddim")
    }
    assert missed["mid-point"] < 0.1 * missed["ddim"]


def test_noise_and_latent_are_one_and_the_same_start():
    model, prompt, samples = on_gaussian(False)
    latent, noise = invert(model, prompt, samples, 8, scheduler="simple")
    empty = {"samples": torch.zeros_like(samples)}
    torch.testing.assert_close(
        custom(model, prompt, noise, empty, 8), ksampler(model, prompt, latent, 8), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("flow", [True, False], ids=["flow", "ddpm"])
def test_fresh_noise_is_blended_in_by_its_share_and_seed(flow):
    model, prompt, samples = on_gaussian(flow)
    one, two = (invert(model, prompt, samples, 8, inverted=0.4, seed=seed) for seed in (3, 4))
    again = invert(model, prompt, samples, 8, inverted=0.4, seed=3)
    alone = invert(model, prompt, samples, 8)[1].samples
    fresh = invert(model, prompt, samples, 8, inverted=0.0, seed=3)[1].samples
    assert torch.equal(one[1].samples, again[1].samples)
    assert not torch.allclose(one[1].samples, two[1].samples, atol=0.1)
    expected = math.sqrt(0.4) * alone + math.sqrt(0.6) * fresh
    torch.testing.assert_close(one[1].samples, expected, rtol=0, atol=1e-5)
    with torch.inference_mode():
        hosts = comfy.sample.prepare_noise(samples, 3)
    torch.testing.assert_close(fresh, hosts)
    if not flow:
        scaled = model.model.process_latent_in(one[0]["samples"])
        top = float(model.get_model_object("model_sampling").sigma_max)
        torch.testing.assert_close(scaled, one[1].samples * math.hypot(1.0, top), rtol=0, atol=1e-3)


def test_guidance_needs_a_negative_prompt_and_changes_the_noise():
    model, prompt = tiny_unet.tiny_unet(), tiny_unet.conditioning(1)
    samples = tiny_unet.clip(3)
    plain = invert(model, prompt, samples, 3)[1].samples
    guided = invert(model, prompt, samples, 3, cfg=4.0, negative=tiny_unet.conditioning(2))[1].samples
    assert not torch.allclose(plain, guided, atol=0.01)
    with pytest.raises(ValueError, match=r"cfg of 4 needs a negative prompt; connect it, or set cfg to 1"):
        invert(model, prompt, samples, 3, cfg=4.0)


def test_what_else_the_latent_carries_goes_through_and_the_source_is_not_changed():
    model, prompt, samples = on_gaussian(False)
    before = samples.clone()
    latent, _ = invert_order(
        model, prompt, {"samples": samples, "batch_index": [4, 5, 6]}, InversionSettings(4, inverted=0.5)
    )
    assert latent["batch_index"] == [4, 5, 6]
    assert torch.equal(samples, before)


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (torch.zeros(2, 4, 8, 8), r"shape \[3, 4, 4, 4\], the latent of \[2, 4, 8, 8\]; connect an empty latent"),
        (torch.ones(3, 4, 4, 4), "the latent is not empty; connect an empty latent"),
    ],
)
def test_inverted_noise_refuses_a_latent_that_it_is_not_for(latent, message):
    with pytest.raises(ValueError, match=message):
        InvertedNoise(torch.zeros(3, 4, 4, 4), 0).generate_noise({"samples": latent})


def test_an_empty_source_is_refused():
    model, prompt, samples = on_gaussian(False)
    with pytest.raises(ValueError, match=r"empty latent; encode the source clip with VAE Encode"):
        invert(model, prompt, torch.zeros_like(samples), 3)


def test_a_masked_source_is_refused():
    model, prompt, samples = on_gaussian(False)
    masked = {"samples": samples, "noise_mask": torch.ones(1, 32, 32)}
    with torch.inference_mode(), pytest.raises(ValueError, match=r"with a noise mask.*the latent from before the mask"):
        FewShotInversion.execute(model, prompt, masked, 3)


def test_cancel_stops_an_inversion():
    import comfy.model_management as management

    model, prompt, samples = on_gaussian(False)
    management.interrupt_current_processing()
    try:
        with pytest.raises(management.InterruptProcessingException):
            invert(model, prompt, samples, 3)
    finally:
        management.interrupt_current_processing(False)
