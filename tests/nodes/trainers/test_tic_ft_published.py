"""Sampling in the host equals the published algorithm on diffusers' networks and schedulers.

Schedules are such that every buffer's level is a point of them; elsewhere the published algorithm releases no buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.sample
import comfy.samplers
import diffusers_networks
import numpy as np
import published_tic_ft
import pytest
import tiny_families
import tiny_sampling as tiny
import tiny_wan
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.sampling.wrappers import Context

T = 1000
LAYOUTS = (Layout.linear(1, 3, 3), Layout.linear(2, 1, 3), Layout.linear(3, 0, 2))
LATER_LAYOUT = Layout(2, 2, 4, (0.25, 0.75))  # CogVideoX 1.5 takes even counts
# Largest difference, as a share of the largest value. Rounding alone gives 5e-7 in a flow, and 5e-5 where the state
# falls from the host's last sigma, 4519, to 0 within four steps.
CLOSE = 1e-4
# That sigma stands for pure noise, of which it leaves 1 / 4519 = 2.2e-4 out.
NEARLY_PURE = 1e-3


@dataclass
class Start:
    """What both sides begin with."""

    x0: Tensor  # [1, C, L + B, h, w], VAE space
    latent: Tensor  # [2, C, F, h, w], VAE space
    noise: Tensor  # as latent

    @classmethod
    def of(cls, model: Any, layout: Layout, seed: int = 0) -> Start:
        generator = torch.Generator().manual_seed(seed)
        x0 = torch.randn(1, 16, layout.prefix, tiny.SIZE, tiny.SIZE, generator=generator)
        shape = (2, 16, layout.frames, tiny.SIZE, tiny.SIZE)
        latent = model.model.process_latent_out(torch.zeros(shape))
        latent[:, :, : layout.prefix] = x0
        return cls(x0, latent, torch.randn(shape, generator=generator))


def ours(model: Any, layout: Layout, start: Start, sampler: str, sigmas: Tensor, cfg: float) -> Tensor:
    """As SamplerCustom samples with a TIC-FT context."""
    model = Context(layout, start.x0).put_on(model)
    with torch.inference_mode():
        return comfy.sample.sample_custom(
            model, start.noise.clone(), cfg, comfy.samplers.sampler_object(sampler), sigmas, tiny.POSITIVE,
            tiny.NEGATIVE, start.latent.clone(), disable_pbar=True, seed=0,
        )  # fmt: skip


def theirs(
    model: Any, network: diffusers_networks.Network, layout: Layout, start: Start, scheduler: Any, cfg: float
) -> Tensor:
    """The published algorithm with the same latents, noise, prompts and guidance, in VAE space."""
    is_flow = isinstance(scheduler, FlowMatchEulerDiscreteScheduler)
    levels = [level * T if is_flow else level * T - 1 for level in layout.levels]
    clean = model.model.process_latent_in(start.x0.clone())
    answer = guided(network, cfg)
    return model.model.process_latent_out(published_tic_ft.sample(answer, scheduler, clean, start.noise, levels))


def guided(network: diffusers_networks.Network, cfg: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Classifier-free guidance on what the network predicts."""

    def answer(x: Tensor, t: Tensor) -> Tensor:
        prompts = [prompt[0][0].expand(x.shape[0], -1, -1) for prompt in (tiny.POSITIVE, tiny.NEGATIVE)]
        positive, negative = (network(x, t.expand(x.shape[0]), prompt) for prompt in prompts)
        return negative + cfg * (positive - negative)

    return answer


def difference(output: Tensor, expected: Tensor) -> float:
    """Largest difference, as a share of the largest value."""
    return float((output - expected).abs().max() / expected.abs().max())


def flow_scheduler(steps: int) -> FlowMatchEulerDiscreteScheduler:
    """Shift 1 and evenly falling levels, 1 to 1 / steps."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps).tolist())
    return scheduler


def layout_name(value: Any) -> str | None:
    """``c1b3t3``, as the authors write layouts."""
    return f"c{value.condition}b{value.buffer}t{value.target}" if isinstance(value, Layout) else None


@pytest.mark.parametrize("cfg", [1.0, 5.0])
@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("layout", LAYOUTS, ids=layout_name)
def test_wan_samples_what_the_published_algorithm_samples(layout, steps, cfg):
    model = tiny.with_shift(tiny.tiny_model(), 1.0)
    start, network = Start.of(model, layout), diffusers_networks.wan(tiny_wan.weights_of(model))
    output = ours(model, layout, start, "euler", tiny.schedule(model, "simple", steps), cfg)
    expected = theirs(model, network, layout, start, flow_scheduler(steps), cfg)
    assert difference(output, expected) <= CLOSE
    assert torch.equal(output[:, :, : layout.condition], start.latent[:, :, : layout.condition])
    other = theirs(model, network, layout, replace(start, x0=start.x0 + 1.0), flow_scheduler(steps), cfg)
    assert difference(other[:, :, layout.target_slice], expected[:, :, layout.target_slice]) > 100 * CLOSE


@pytest.mark.parametrize(("sampler", "steps", "cfg"), [("euler", 4, 1.0), ("ddim", 20, 6.0)])
@pytest.mark.parametrize(
    ("family", "layout"),
    [*(("CogVideoX 5B", layout) for layout in LAYOUTS), ("CogVideoX 2B", LAYOUTS[0]), ("CogVideoX 1.5", LATER_LAYOUT)],
    ids=layout_name,
)
def test_cogvideox_samples_what_the_published_algorithm_samples(family, layout, sampler, steps, cfg):
    model = repaired(tiny_families.model_of(family))
    start = Start.of(model, layout)
    network = diffusers_networks.cogvideox(tiny_wan.weights_of(model), model.model.diffusion_model)
    scheduler = diffusers_networks.cogvideox_scheduler(family)
    scheduler.set_timesteps(steps)
    output = ours(model, layout, start, sampler, tiny.schedule(model, "simple", steps), cfg)
    assert torch.equal(output[:, :, : layout.condition], start.latent[:, :, : layout.condition])
    assert difference(output, theirs(model, network, layout, start, scheduler, cfg)) <= NEARLY_PURE
    scheduler.alphas_cumprod[-1] = 1.0 / (1.0 + model.get_model_object("model_sampling").sigma_max.double() ** 2)
    expected = theirs(model, network, layout, start, scheduler, cfg)
    assert difference(output, expected) <= CLOSE
    other = theirs(model, network, layout, replace(start, x0=start.x0 + 1.0), scheduler, cfg)
    assert difference(other[:, :, layout.target_slice], expected[:, :, layout.target_slice]) > 10 * NEARLY_PURE


def test_the_published_algorithm_has_no_release_between_two_timesteps():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 0.125, 8).tolist())
    with pytest.raises(ValueError, match="never move"):
        published_tic_ft.sample(
            lambda x, _: x, scheduler, torch.zeros(1, 1, 2, 1, 1), torch.zeros(1, 1, 3, 1, 1), [250]
        )
