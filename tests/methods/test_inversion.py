"""Inversion on networks whose score is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from gaussian_data import GaussianData, euler_down, levels, mid_points_down
from torch import Tensor

from pack.methods.inversion import DDIM, FIXED_POINT, METHODS, MID_POINT, Inverter, blended, slope

TOP = {True: 1.0, False: 14.6}  # highest sigma of a flow, of DDPM
PROCESSES = pytest.mark.parametrize("flow", [True, False], ids=["flow", "ddpm"])


@dataclass
class Case:
    """Data, a clean latent of it, and its inversion."""

    data: GaussianData
    x0: Tensor
    sigmas: list[float]
    found: Tensor


def case(flow: bool, steps: int, method: str, **more) -> Case:
    data, sigmas = GaussianData(flow), levels(flow, steps, TOP[flow])
    x0 = data.draw(64)
    found = Inverter(method, flow, lowest=1e-7, **more).run(data.denoised, x0, sigmas)
    return Case(data, x0, sigmas, found)


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def order(errors: list[float]) -> float:
    """How fast errors fall when the steps are doubled: the last exponent."""
    return math.log2(errors[-2] / errors[-1])


@PROCESSES
@pytest.mark.parametrize(("method", "expected"), [(DDIM, 1.0), (FIXED_POINT, 1.0), (MID_POINT, 2.0)])
def test_the_noise_comes_near_the_true_one_at_the_methods_order(flow, method, expected):
    errors = []
    for steps in (160, 320, 640):
        run = case(flow, steps, method)
        errors.append(rms(run.found - run.data.state(run.x0, run.sigmas[-1])))
    assert order(errors) == pytest.approx(expected, abs=0.15)
    assert errors == sorted(errors, reverse=True)


@PROCESSES
def test_the_way_there_and_back_misses_by_less_with_more_steps_at_first_order(flow):
    errors = []
    for steps in (40, 80, 160, 320):
        run = case(flow, steps, DDIM)
        errors.append(rms(euler_down(run.data, run.found, run.sigmas) - run.x0))
    assert errors == sorted(errors, reverse=True)
    assert order(errors) == pytest.approx(1.0, abs=0.15)


@PROCESSES
def test_the_way_back_by_mid_points_misses_by_less_at_third_order(flow):
    errors = []
    for steps in (40, 80, 160, 320):
        run = case(flow, steps, MID_POINT)
        errors.append(rms(mid_points_down(run.data, run.found, run.sigmas) - run.x0))
    # What is of second order is the same on the way up and down, and cancels.
    assert order(errors) == pytest.approx(3.0, abs=0.2)


@PROCESSES
def test_fixed_points_are_the_inverse_of_euler_whatever_the_steps(flow):
    ten = case(flow, 10, FIXED_POINT, iterations=200)
    assert rms(euler_down(ten.data, ten.found, ten.sigmas) - ten.x0) < 1e-9
    three, none = case(flow, 10, FIXED_POINT), case(flow, 10, DDIM)
    near, far = (rms(euler_down(run.data, run.found, run.sigmas) - run.x0) for run in (three, none))
    assert near < 0.5 * far


def test_ddim_equals_its_published_form_step_by_step():
    data = GaussianData(flow=False)
    x, low, high = data.draw(8), 0.7, 1.1
    seen = []

    def denoised(state: Tensor, sigma: float) -> Tensor:
        seen.append(state / math.hypot(1.0, sigma))  # what the network is shown
        return data.denoised(state, sigma)

    found = Inverter(DDIM).step(denoised, x, low, high)
    alpha, alpha_next = 1 / (1 + low**2), 1 / (1 + high**2)
    shown = math.sqrt(alpha) * x
    torch.testing.assert_close(seen, [shown])
    noise = slope(data.denoised, shown / math.sqrt(alpha_next), high)
    x0 = (shown - math.sqrt(1 - alpha) * noise) / math.sqrt(alpha)
    later = math.sqrt(alpha_next) * x0 + math.sqrt(1 - alpha_next) * noise
    torch.testing.assert_close(found, later / math.sqrt(alpha_next))


@PROCESSES
@pytest.mark.parametrize("method", METHODS)
def test_no_level_is_asked_about_that_has_no_slope_and_every_step_is_told(flow, method):
    data, asked, told = GaussianData(flow), [], []
    sigmas = levels(flow, 5, TOP[flow])

    def denoised(x: Tensor, sigma: float) -> Tensor:
        asked.append(sigma)
        return data.denoised(x, sigma)

    found = Inverter(method, flow, lowest=0.02).run(denoised, data.draw(4), sigmas, lambda *state: told.append(state))
    assert min(asked) >= 0.02
    assert max(asked) <= sigmas[-1]
    assert [step for step, _ in told] == [0, 1, 2, 3, 4]
    assert torch.equal(told[-1][1], found)
    assert torch.isfinite(found).all()


def test_a_refinement_that_runs_away_is_dropped():
    steep = Inverter(FIXED_POINT, flow=True, iterations=50)
    found = steep.step(lambda x, sigma: x + 30 * sigma * x, torch.ones(3), 0.0, 0.5)
    assert float(found.abs().max()) < 1e3  # every iteration would multiply it by 15


def test_a_blend_keeps_the_variance_and_its_ends():
    generator = torch.Generator().manual_seed(0)
    noise, fresh = torch.randn(100000, generator=generator), torch.randn(100000, generator=generator)
    assert torch.equal(blended(noise, fresh, 1.0), noise)
    assert torch.equal(blended(noise, fresh, 0.0), fresh)
    mixed = blended(noise, fresh, 0.3)
    assert float(mixed.std()) == pytest.approx(1.0, abs=0.01)
    assert float((mixed * noise).mean()) == pytest.approx(math.sqrt(0.3), abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Inverter("heun"), "method 'heun' is not known; use one of ddim, fixed-point, mid-point"),
        (lambda: Inverter(FIXED_POINT, iterations=0), "0 iterations; give at least one"),
        (lambda: Inverter().run(lambda x, _: x, torch.zeros(1), [1.0, 0.0]), "2 noise levels that do not rise"),
        (lambda: Inverter().run(lambda x, _: x, torch.zeros(1), [0.0]), "take fewer steps"),
        (lambda: blended(torch.zeros(1), torch.zeros(1), 1.5), "is 1.5; give one between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
