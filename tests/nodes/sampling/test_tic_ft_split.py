"""A run cut into stages, or over two experts, gives what the whole run gives."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_sampling as tiny
import torch
from comfy_extras.nodes_custom_sampler import (
    BasicScheduler,
    CFGGuider,
    DisableNoise,
    KSamplerSelect,
    RandomNoise,
    SamplerCustom,
    SamplerCustomAdvanced,
    SplitSigmas,
)

import nodes as host_nodes
from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.context import BUFFER_STEPS
from pack.nodes.host.sampling.wrappers import Context

LAYOUT = Layout.linear(1, 3, 3)
STEPS = 8
SEED = 7
MODES = pytest.mark.parametrize("mode", BUFFER_STEPS)  # the node's, its default among them


def context_model(shift: float = 3.0, seed: int = 0, mode: str = "exact") -> tuple[Any, dict[str, Any], Context]:
    start = tiny.scene(LAYOUT)
    context = Context(LAYOUT, start.x0, extra_steps=BUFFER_STEPS[mode])
    return tiny.with_shift(context.put_on(tiny.tiny_model(seed)), shift), {"samples": start.latent}, context


def advanced(
    model: Any, latent: dict[str, Any], first: int, last: int, whole: bool = False, steps: int = STEPS
) -> dict[str, Any]:
    """KSamplerAdvanced as two chained nodes use it."""
    with torch.inference_mode():
        return host_nodes.KSamplerAdvanced().sample(
            model, "enable" if first == 0 else "disable", SEED, steps, 2.0, "euler", "simple",
            tiny.POSITIVE, tiny.NEGATIVE, latent, first, last, "disable" if whole else "enable",
        )[0]  # fmt: skip


def close(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return float((a["samples"] - b["samples"]).abs().max()) <= 1e-5


def test_the_tried_splits_include_points_where_buffers_are_held_and_where_they_move():
    sigmas = tiny.schedule(context_model(1.0)[0], "simple", STEPS)[1:STEPS]
    held = [sum(level < sigma for level in LAYOUT.levels) for sigma in sigmas.tolist()]
    assert set(held) == {0, 1, 2, 3}


@MODES
@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("cut", range(1, STEPS))
def test_two_ksamplers_equal_one(cut, shift, mode):
    model, latent, _ = context_model(shift, mode=mode)
    whole = advanced(model, latent, 0, 10000, whole=True)
    half = advanced(model, latent, 0, cut)
    assert close(advanced(model, half, cut, 10000, whole=True), whole)
    assert torch.equal(half["samples"][:, :, :1], latent["samples"][:, :, :1])


@pytest.mark.parametrize("shift", [3.0, 8.0])
@pytest.mark.parametrize(("steps", "cut"), [(12, 6), (14, 7), (16, 8), (16, 15), (20, 8)])
def test_a_split_run_of_any_length_costs_and_gives_what_the_whole_does(steps, cut, shift):
    model, latent, _ = context_model(shift, mode="automatic")
    model, calls = tiny.record(model, tiny.curved)
    whole, evaluations = advanced(model, latent, 0, 10000, whole=True, steps=steps), len(calls)
    half = advanced(model, latent, 0, cut, steps=steps)
    assert close(advanced(model, half, cut, 10000, whole=True, steps=steps), whole)
    assert len(calls) == 2 * evaluations


@MODES
def test_three_stages_equal_one(mode):
    model, latent, _ = context_model(mode=mode)
    stages = advanced(model, advanced(model, latent, 0, 2), 2, 5)
    assert close(advanced(model, stages, 5, 10000, whole=True), advanced(model, latent, 0, 10000, whole=True))


@MODES
@pytest.mark.parametrize("cut", [1, 3, 5, 7])
def test_two_experts_with_the_same_weights_equal_one_model(cut, mode):
    model, latent, context = context_model(mode=mode)
    second = tiny.with_shift(context.put_on(tiny.fresh_model()), 3.0)
    whole = advanced(model, latent, 0, 10000, whole=True)
    half = advanced(model, latent, 0, cut)
    assert close(advanced(second, half, cut, 10000, whole=True), whole)


@MODES
@pytest.mark.parametrize("shift", [3.0, 8.0])
@pytest.mark.parametrize("cut", [3, 5, 6, 7])
def test_two_experts_of_other_weights_equal_one_that_changes_between_them(cut, shift, mode):
    model, latent, _ = context_model(shift, mode=mode)
    border = float(tiny.schedule(model, "simple", STEPS)[cut])

    def second(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return 0.5 * tiny.curved(x.flip(2), sigma)

    def both(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return tiny.curved(x, sigma) if float(sigma[0]) > border else second(x, sigma)

    whole, high, low = (tiny.record(model, network)[0] for network in (both, tiny.curved, second))
    parts = advanced(low, advanced(high, latent, 0, cut), cut, 10000, whole=True)
    assert close(parts, advanced(whole, latent, 0, 10000, whole=True))


@MODES
def test_a_second_expert_of_other_weights_takes_over_the_buffers_where_the_first_left_them(mode):
    model, latent, context = context_model(mode=mode)
    other, calls = tiny.record(tiny.with_shift(context.put_on(tiny.tiny_model(1)), 3.0))
    noise = host_nodes.comfy.sample.prepare_noise(latent["samples"], SEED)
    clean = tiny.tiny_model().model.process_latent_in(context.x0.clone())
    advanced(other, advanced(model, latent, 0, 3), 3, 10000, whole=True)
    for frame, level in enumerate((0.0, *LAYOUT.levels)):
        shown = calls[0].x[:, :, frame]
        expected = tiny.on_line(clean, noise, frame, level)
        assert (shown - expected).abs().max() < 1e-5


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_split_sigmas_with_sampler_custom_equals_one_run(cut):
    model, latent, _ = context_model()
    euler = KSamplerSelect.execute("euler").args[0]
    sigmas = BasicScheduler.execute(model, "simple", STEPS, 1.0).args[0]
    high, low = SplitSigmas.execute(sigmas, cut).args

    def run(some: torch.Tensor, start: dict[str, Any], noise: bool) -> dict[str, Any]:
        with torch.inference_mode():
            return SamplerCustom.execute(
                model, noise, SEED, 2.0, tiny.POSITIVE, tiny.NEGATIVE, euler, some, start
            ).args[0]

    assert close(run(low, run(high, latent, True), False), run(sigmas, latent, True))


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_split_sigmas_with_sampler_custom_advanced_equals_one_run(cut):
    model, latent, _ = context_model()
    guider = CFGGuider.execute(model, tiny.POSITIVE, tiny.NEGATIVE, 2.0).args[0]
    euler = KSamplerSelect.execute("euler").args[0]
    sigmas = BasicScheduler.execute(model, "beta", STEPS, 1.0).args[0]
    high, low = SplitSigmas.execute(sigmas, cut).args
    noise, none = RandomNoise.execute(SEED).args[0], DisableNoise.execute().args[0]

    def run(some: torch.Tensor, start: dict[str, Any], source: Any) -> dict[str, Any]:
        with torch.inference_mode():
            return SamplerCustomAdvanced.execute(source, guider, euler, some, start).args[0]

    assert close(run(low, run(high, latent, noise), none), run(sigmas, latent, noise))
