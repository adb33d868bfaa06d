"""The repair of CogVideoX's sampling: scaled inputs on the schedule it was trained with, and nothing else touched."""

from __future__ import annotations

import logging
import math
from typing import Any

import comfy.model_sampling
import pytest
import tiny_families as families
import tiny_sampling as tiny
import torch
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from tiny_families import COG_2B, COG_5B, COG_15, COGVIDEOX, Tiny
from tiny_vae import clip, tiny_cogvideox_vae
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.loras import apply_lora
from pack.nodes.host.model.noise import process_of, repaired
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.tic_ft import TICFTContext
from pack.training.lora.file import LoraModel

EVERY = pytest.mark.parametrize("family", COGVIDEOX, ids=lambda family: family.name)
SPREAD = 0.7  # standard deviation of the data that the analytic network knows
TOLD = "the host does not scale what {} sees; this model does it right"


def posterior_mean(z: Tensor, sigma: Tensor) -> Tensor:
    """The exact velocity for data ~ N(0, SPREAD^2): ``v = a E[n | z] - b E[x0 | z]``, z = a x0 + b n, a^2 + b^2 = 1."""
    s = sigma.double().view(-1, 1, 1, 1, 1)
    a, b = (1 + s**2).rsqrt(), s * (1 + s**2).rsqrt()
    return (z.double() * a * b * (1 - SPREAD**2) / (a**2 * SPREAD**2 + b**2)).float()


def spread_of(model: Any, family: Tiny, sampler: str, steps: int) -> float:
    """Standard deviation of what a sampler makes of noise with the analytic network."""
    latent = torch.zeros(1, 16, 4, 20, 20)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1))
    prompts = (family.conditioning(1), family.conditioning(2))
    start = tiny.Scene(latent[:, :, :0], latent, noise, model, prompts)
    output = tiny.sample(tiny.record(model, posterior_mean)[0], start, sampler, steps=steps)
    return float(model.model.process_latent_in(output).std())


def sampling_of(model: Any) -> Any:
    return model.get_model_object("model_sampling")


@pytest.mark.parametrize(("sampler", "steps"), [("euler", 400), ("heun", 150), ("dpmpp_2m", 150)])
@pytest.mark.parametrize("family", [COG_5B, COG_2B], ids=lambda family: family.name)
def test_a_repaired_model_samples_the_spread_of_the_data_and_the_hosts_own_does_not(family, sampler, steps):
    model = families.model_of(family.name)
    assert spread_of(repaired(model), family, sampler, steps) == pytest.approx(SPREAD, rel=0.02)
    assert spread_of(model, family, sampler, steps) > 1.3 * SPREAD


@pytest.mark.parametrize(("family", "scale"), [(COG_2B, 3.0), (COG_5B, 1.0), (COG_15, 1.0)])
def test_the_schedule_is_that_of_the_familys_scheduler_in_diffusers(family, scale):
    from diffusers import CogVideoXDDIMScheduler

    scheduler = CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", snr_shift_scale=scale,
        rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing",
    )  # fmt: skip
    sigmas = sampling_of(repaired(families.model_of(family.name))).sigmas
    alphas = scheduler.alphas_cumprod[:-1].double()
    # diffusers adds up a thousand factors in float32: a few 1e-6 in sqrt(alpha), which the last sigmas magnify.
    torch.testing.assert_close((1 + sigmas[:-1].double() ** 2).rsqrt(), alphas.sqrt(), atol=5e-6, rtol=0)
    torch.testing.assert_close(sigmas[:900].double(), ((1 - alphas) / alphas).sqrt()[:900], atol=0, rtol=2e-4)
    assert scheduler.alphas_cumprod[-1] < 1e-12
    assert sigmas[-1] > 4000


@EVERY
def test_the_networks_input_has_unit_scale_at_every_step(family):
    base = families.model_of(family.name)
    prompts = (family.conditioning(1), family.conditioning(2))
    start = tiny.scene(Layout(0, 0, 4), model=base, prompts=prompts)
    for model, right in ((repaired(base), True), (base, False)):
        heard, calls = tiny.record(model, lambda x, _sigma: torch.zeros_like(x))
        tiny.sample(heard, start)
        assert (0.9 < float(calls[0].x.std()) < 1.1) is right
        table = sampling_of(model).sigmas
        for call in calls:
            timestep = int((table.log() - math.log(call.sigma)).abs().argmin())
            assert call.timestep.tolist() == [timestep]


def test_a_repaired_model_is_not_repaired_again(caplog):
    model = families.model_of("CogVideoX 2B")
    with caplog.at_level(logging.INFO):
        once = repaired(model)
        twice = repaired(once)
        repaired(once.clone())
    assert twice is once
    assert [record.getMessage() for record in caplog.records].count(
        "FewShot Video: " + TOLD.format("CogVideoX 2B")
    ) == 1
    assert isinstance(sampling_of(model), comfy.model_sampling.V_PREDICTION_DDPM)
    assert not model.object_patches


def test_the_base_samples_as_before_after_a_repaired_clone_has():
    model = families.model_of("CogVideoX 5B")
    prompts = (COG_5B.conditioning(1), COG_5B.conditioning(2))
    start = tiny.scene(Layout(0, 0, 4), model=model, prompts=prompts)
    before = tiny.sample(model, start)
    assert not torch.equal(tiny.sample(repaired(model), start), before)
    assert torch.equal(tiny.sample(model, start), before)


@pytest.mark.parametrize("zsnr", [False, True])
def test_a_sampling_that_the_user_put_on_is_left_alone(zsnr):
    patched = ModelSamplingDiscrete().patch(families.model_of("CogVideoX 2B"), "v_prediction", zsnr)[0]
    assert sampling_of(repaired(patched)) is sampling_of(patched)
    process = process_of(patched)
    assert torch.equal(process.sigmas, sampling_of(patched).sigmas)
    prompts = (COG_2B.conditioning(1), COG_2B.conditioning(2))
    layout = Layout.linear(1, 3, 3)
    start = tiny.scene(layout, model=patched, prompts=prompts)
    model, calls = tiny.record(Context(layout, start.x0).put_on(patched), tiny.curved)
    output = tiny.sample(model, start)
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])
    released = [float(process.sigmas[step]) for step in (249, 499, 749)]
    assert all(any(abs(call.sigma - sigma) <= 1e-6 * sigma for call in calls) for sigma in released)


@pytest.mark.parametrize("family", [family for family in families.ALL if family.flow], ids=lambda family: family.name)
def test_other_families_are_returned_as_they_came(family):
    model = families.model_of(family.name)
    assert repaired(model) is model
    assert process_of(model).top == 1.0


def test_a_sampling_without_velocity_is_refused_in_a_sentence():
    patched = ModelSamplingDiscrete().patch(families.model_of("CogVideoX 5B"), "eps", False)[0]
    said = "^the CogVideoX predicts neither a flow nor a velocity; take the model sampling node off, or load"
    with pytest.raises(ValueError, match=said):
        process_of(patched)
    layout = Layout.linear(1, 3, 3)
    start = tiny.scene(layout, model=patched, prompts=(COG_5B.conditioning(1), COG_5B.conditioning(2)))
    with pytest.raises(ValueError, match=said):
        tiny.sample(Context(layout, start.x0).put_on(patched), start)


def tiny_lora() -> LoraModel:
    generator = torch.Generator().manual_seed(0)
    name = "diffusion_model.blocks.0.q"
    return LoraModel({
        f"{name}.lora_up.weight": torch.randn(64, 2, generator=generator),
        f"{name}.lora_down.weight": torch.randn(2, 64, generator=generator),
    })  # fmt: skip


def test_every_node_that_returns_a_cogvideox_model_repairs_it_once(caplog):
    base = families.model_of("CogVideoX 5B")
    size = {"width": 16, "height": 16, "target_frames": 8}

    def context(model: Any, **more: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            outputs = TICFTContext.execute(
                model, tiny_cogvideox_vae(), "image to video", condition=clip(1, 0, 16, 16), **size, **more
            ).args
        return outputs[0], outputs[2]

    def told() -> int:
        count = sum(TOLD.format("CogVideoX 5B") in record.getMessage() for record in caplog.records)
        caplog.clear()
        return count

    with caplog.at_level(logging.INFO):
        first, second = context(base)
        assert (first is second, told()) == (True, 1)
        made = [first, *context(base, model_2=families.model_of("CogVideoX 5B", 1))]
        assert told() == 2
        made.append(apply_lora(base, tiny_lora(), 1.0, "lora.safetensors"))
        assert told() == 1
        made += context(made[-1])
        assert told() == 0
    assert all(not isinstance(sampling_of(model), comfy.model_sampling.V_PREDICTION_DDPM) for model in made)
    assert isinstance(sampling_of(base), comfy.model_sampling.V_PREDICTION_DDPM)
