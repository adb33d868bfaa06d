"""A TIC-FT context beside nodes that cut, grow or ignore its sequence: right, or a sentence."""

from __future__ import annotations

import logging
from itertools import pairwise

import comfy.sample
import comfy.samplers
import pytest
import tiny_sampling as tiny
import torch
from comfy.context_windows import IndexListContextWindow
from comfy_extras.nodes_advanced_samplers import SamplerLCMUpscale
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider, RandomNoise, SamplerCustomAdvanced

from pack.methods.tic_ft import Layout, insert_levels
from pack.nodes.host.sampling.context import BUFFER_STEPS
from pack.nodes.host.sampling.crop import CLEAN, check_sampled
from pack.nodes.host.sampling.wrappers import Context, frames_in
from pack.nodes.tic_ft import TICFTCrop

LAYOUT = Layout.linear(1, 3, 4)


def test_a_sampler_that_grows_the_latent_is_refused_in_one_sentence():
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0).put_on(tiny.tiny_model())
    sampler = SamplerLCMUpscale().execute(2.0, -1, "bislerp").result[0]
    with pytest.raises(ValueError, match=r"latents of \[8, \d+, \d+\] .* made for \[8, 4, 4\]; choose one that"):
        SamplerCustomAdvanced.execute(
            RandomNoise.execute(1).result[0],
            CFGGuider.execute(model, tiny.POSITIVE, tiny.NEGATIVE, 2.0).result[0],
            sampler,
            BasicScheduler.execute(model, "simple", 4, 1.0).result[0],
            {"samples": start.latent},
        )


def test_a_context_window_is_shown_the_timesteps_of_its_own_frames():
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0, per_frame_timesteps=True).put_on(tiny.tiny_model())
    model, calls = tiny.record(model)
    index = [0, 5, 6, 7]

    def windowed(executor, x, timestep, *args, **options):
        transformer = options.get("transformer_options") or next(a for a in args if isinstance(a, dict))
        transformer["context_window"] = IndexListContextWindow(index, dim=2, total_frames=8)
        out = executor(x[:, :, index].contiguous(), timestep, *args, **options)
        return torch.zeros_like(x).index_copy(2, torch.tensor(index), out)

    from comfy.patcher_extension import WrappersMP

    clone = model.clone()
    before = clone.wrappers[WrappersMP.DIFFUSION_MODEL]
    clone.wrappers[WrappersMP.DIFFUSION_MODEL] = {"window": [windowed], **before}
    tiny.sample(clone, start)
    for call in calls:
        expected = LAYOUT.max_sigmas().clamp(max=call.sigma)[index] * 1000
        assert torch.allclose(call.timestep, expected.expand(1, -1), atol=1e-2)


def test_frames_that_nothing_names_are_refused():
    x = torch.zeros(1, 4, 5, 2, 2)
    assert frames_in(x, 5, {}) == slice(None)
    with pytest.raises(ValueError, match="shown 5 of the 8 latent frames and nothing says which; take the node"):
        frames_in(x, 8, {})


class OwnEuler(comfy.samplers.Sampler):
    """A sampler that is none of the k-samplers."""

    def sample(self, model_wrap, sigmas, extra_args, _callback, noise, latent_image, *_more):
        x = model_wrap.inner_model.model_sampling.noise_scaling(sigmas[0], noise, latent_image)
        for sigma, following in pairwise(sigmas):
            denoised = model_wrap(x, sigma * x.new_ones(len(x)), **extra_args)
            x = denoised + following / sigma * (x - denoised)
        return x


@pytest.mark.parametrize("mode", BUFFER_STEPS)
def test_a_sampler_that_is_no_k_sampler_gets_the_levels_in_every_mode_and_the_log_says_so(mode, caplog):
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0, extra_steps=BUFFER_STEPS[mode]).put_on(tiny.tiny_model())
    model, calls = tiny.record(tiny.with_shift(model, 3.0))
    sigmas = tiny.schedule(model, "simple", 3)
    with torch.inference_mode(), caplog.at_level(logging.INFO):
        output = comfy.sample.sample_custom(
            model, start.noise.clone(), 1.0, OwnEuler(), sigmas, *start.prompts, start.latent.clone(), disable_pbar=True
        )
    assert torch.isfinite(output).all()
    assert {call.sigma for call in calls} == {*insert_levels(sigmas.tolist(), LAYOUT)} - {0.0}
    told = [record.getMessage() for record in caplog.records if "OwnEuler is no k-sampler" in record.getMessage()]
    assert len(told) == 1
    assert "levels whatever buffer_steps is, as 'no extra steps' needs a k-sampler" in told[0]


def latent(samples: torch.Tensor, clean: torch.Tensor) -> dict:
    place = {"condition": 1, "buffer": 3, "target": 4, "levels": [], "compression": 4, "target_frames": 16}
    return {"samples": samples, "tic_ft": place, CLEAN: clean}


def test_a_latent_that_was_sampled_without_its_context_is_refused_at_the_crop():
    start = tiny.scene(LAYOUT)
    images, clean = torch.zeros(29, 16, 16, 3), start.x0[:, :, :1]
    right = tiny.sample(Context(LAYOUT, start.x0).put_on(tiny.tiny_model()), start)
    assert len(TICFTCrop.execute(images, latent(right, clean), "target").result[0]) == 16
    assert len(TICFTCrop.execute(images, latent(start.latent, clean), "target").result[0]) == 16
    plain = tiny.sample(tiny.tiny_model(), start)
    with pytest.raises(ValueError, match="sampled with a model that has not its TIC-FT context; wire the MODEL"):
        TICFTCrop.execute(images, latent(plain, clean), "target")


def test_rounding_and_other_sizes_are_no_foreign_latents():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(1, 16, 8, 4, 4, generator=generator).repeat(2, 1, 1, 1, 1)
    check_sampled(samples, samples[:1, :, :1].half().float() + 1e-3)
    check_sampled(samples.repeat(1, 1, 1, 2, 2), samples[:1, :, :1])
    check_sampled(samples, None)
    check_sampled(samples, samples[:1, :, :0])
