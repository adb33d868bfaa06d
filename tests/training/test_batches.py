"""Clip order and random numbers are functions of (seed, step)."""

from __future__ import annotations

import pytest
import torch

from pack.training.batches import StepGenerators, batch_indices, dropped, sample_sigmas, seeded_generator


def test_every_epoch_shows_every_clip_once():
    shown = [index for step in range(6) for index in batch_indices(3, step, size=6, batch_size=2)]
    assert sorted(shown[:6]) == list(range(6))
    assert sorted(shown[6:]) == list(range(6))
    assert shown[:6] != shown[6:]


def test_batches_run_across_the_end_of_an_epoch():
    shown = [index for step in range(5) for index in batch_indices(0, step, size=5, batch_size=3)]
    assert all(shown.count(index) == 3 for index in range(5))


def test_the_order_depends_on_the_seed():
    orders = {tuple(batch_indices(seed, 0, size=12, batch_size=12)) for seed in range(4)}
    assert len(orders) == 4


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="no clips"):
        batch_indices(0, 0, size=0, batch_size=1)


def test_a_step_has_the_same_noise_whatever_was_drawn_before():
    first = torch.randn(4, generator=StepGenerators.at(7, 30).noise)
    torch.manual_seed(0)
    torch.randn(4, generator=StepGenerators.at(7, 29).noise)
    assert torch.equal(first, torch.randn(4, generator=StepGenerators.at(7, 30).noise))


def test_steps_seeds_and_purposes_have_streams_of_their_own():
    streams = [(0, 0, "noise"), (0, 1, "noise"), (1, 0, "noise"), (0, 0, "sigma")]
    draws = [torch.rand(8, generator=seeded_generator(*stream)) for stream in streams]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])


def test_the_largest_seed_of_the_host_works():
    assert torch.rand(1, generator=seeded_generator(2**64 - 1, 0, "noise")).isfinite().all()


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


def test_dropout_takes_none_all_or_its_share():
    assert not any(dropped(50, 0.0, seeded_generator(0, 0, "dropout")))
    assert all(dropped(50, 1.0, seeded_generator(0, 0, "dropout")))
    assert sum(dropped(2000, 0.3, seeded_generator(0, 0, "dropout"))) == pytest.approx(600, abs=70)
