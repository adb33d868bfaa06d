"""Noise levels are drawn as their formulas say, within their range."""

from __future__ import annotations

import pytest
import torch

from pack.training.core.batches import seeded_generator
from pack.training.core.config import TrainConfig
from pack.training.core.timestep_sampling import draw_sigmas, sample_sigmas


@pytest.mark.parametrize(("density", "middle"), [("uniform", 0.5), ("logit_normal", 0.683)])
def test_densities_put_the_known_share_in_the_middle(density, middle):
    sigma = sample_sigmas(20000, density, 1.0, seeded_generator(0, 0, "sigma"))
    low, high = (0.25, 0.75) if density == "uniform" else (0.2689, 0.7311)  # one deviation of the logit
    share = ((sigma > low) & (sigma < high)).float().mean()
    assert share == pytest.approx(middle, abs=0.015)


def test_shift_moves_every_level_by_its_formula():
    plain = sample_sigmas(100, "uniform", 1.0, seeded_generator(0, 0, "sigma"))
    shifted = sample_sigmas(100, "uniform", 3.0, seeded_generator(0, 0, "sigma"))
    torch.testing.assert_close(shifted, (3 * plain / (1 + 2 * plain)).clamp(1e-4, 1 - 1e-4))


@pytest.mark.parametrize(("density", "below_half"), [("high_noise", 0.25), ("mode", 0.5)])
def test_high_noise_prefers_the_noisy_half_and_mode_neither(density, below_half):
    sigma = sample_sigmas(20000, density, 1.0, seeded_generator(0, 0, "sigma"))
    assert (sigma < 0.5).float().mean() == pytest.approx(below_half, abs=0.015)


def test_mode_is_its_formula_and_prefers_the_middle():
    sigma = sample_sigmas(20000, "mode", 1.0, seeded_generator(0, 0, "sigma"))
    u = torch.rand(20000, generator=seeded_generator(0, 0, "sigma"))
    formula = 1 - u - 1.29 * (torch.cos(torch.pi * u / 2) ** 2 - 1 + u)
    torch.testing.assert_close(sigma, formula.clamp(1e-4, 1 - 1e-4))
    assert ((sigma > 0.25) & (sigma < 0.75)).float().mean() > 0.6


@pytest.mark.parametrize("density", ["uniform", "logit_normal", "mode", "high_noise"])
def test_a_range_keeps_the_density_and_leaves_out_the_rest(density):
    config = TrainConfig(density=density, sigma_low=0.3, sigma_high=0.6, shift=2.0)
    sigma = draw_sigmas(3000, config, seeded_generator(0, 1, "sigma"))
    assert len(sigma) == 3000
    assert sigma.min() >= 0.3
    assert sigma.max() <= 0.6
    whole = sample_sigmas(200000, density, 2.0, seeded_generator(5, 1, "sigma"))
    inside = whole[(whole >= 0.3) & (whole <= 0.6)]
    assert (sigma < 0.45).float().mean() == pytest.approx(float((inside < 0.45).float().mean()), abs=0.03)


def test_the_whole_range_draws_what_it_always_drew():
    generators = [seeded_generator(0, 1, "sigma") for _ in range(2)]
    plain = sample_sigmas(5, "logit_normal", 3.0, generators[0])
    assert torch.equal(draw_sigmas(5, TrainConfig(density="logit_normal", shift=3.0), generators[1]), plain)


def test_a_range_the_density_never_reaches_is_refused():
    config = TrainConfig(density="logit_normal", shift=0.01, sigma_low=0.98)
    with pytest.raises(ValueError, match=r"next to no noise levels between 0\.98 and 1"):
        draw_sigmas(1, config, seeded_generator(0, 0, "sigma"))
