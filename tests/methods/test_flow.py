"""Rectified flow: its closed forms, and that they fit together."""

from __future__ import annotations

import pytest
import torch

from pack.methods import flow

SHAPE = (2, 3, 4, 2, 2)  # B C T H W


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)


def test_level_zero_is_the_clean_latent_and_level_one_the_noise_bit_for_bit():
    x0, noise = pair()
    assert torch.equal(flow.add_noise(x0, noise, torch.zeros(2)), x0)
    assert torch.equal(flow.add_noise(x0, noise, torch.ones(2)), noise)


def test_noising_each_frame_uses_that_frames_level():
    x0, noise = pair()
    sigmas = torch.rand(2, 4, generator=torch.Generator().manual_seed(1))
    xt = flow.add_noise(x0, noise, sigmas)
    for b in range(2):
        for f in range(4):
            s = float(sigmas[b, f])
            assert torch.allclose(xt[b, :, f], (1 - s) * x0[b, :, f] + s * noise[b, :, f], atol=1e-6)


def test_one_level_a_sample_equals_the_same_level_on_every_frame():
    x0, noise = pair()
    sigma = torch.tensor([0.2, 0.7])
    assert torch.equal(flow.add_noise(x0, noise, sigma), flow.add_noise(x0, noise, sigma[:, None].expand(-1, 4)))


def test_velocity_is_the_derivative_of_the_path_by_sigma():
    x0, noise = (tensor.double() for tensor in pair())
    sigma, small = torch.full((2,), 0.4, dtype=torch.float64), 1e-6
    slope = (flow.add_noise(x0, noise, sigma + small) - flow.add_noise(x0, noise, sigma - small)) / (2 * small)
    assert torch.allclose(slope, flow.velocity(x0, noise), atol=1e-8)


def test_frames_at_levels_of_their_own_are_carried_along_what_the_network_says_of_them():
    generator = torch.Generator().manual_seed(3)
    x0, noise = (torch.randn(2, 3, 4, 5, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    own = torch.tensor([[0.1, 0.4, 0.7, 0.9]], dtype=torch.float64)
    last = torch.tensor([[0.0, 0.4, 0.2, 0.6]], dtype=torch.float64)
    state, sigma = flow.add_noise(x0, noise, own), 0.9
    denoised = state - sigma * flow.velocity(x0, noise)  # as k-samplers make x0
    assert torch.allclose(flow.FLOW.carried(state, own, denoised, sigma, last), flow.add_noise(x0, noise, last))


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0, 8.0])
def test_a_shift_keeps_the_ends_and_the_order_and_is_undone_by_its_inverse(shift):
    sigmas = torch.linspace(0, 1, 21, dtype=torch.float64)
    moved = flow.shift_sigmas(sigmas, shift)
    assert moved[0] == 0
    assert moved[-1] == 1
    assert (moved.diff() > 0).all()
    assert (moved >= sigmas - 1e-12).all()
    assert torch.allclose(flow.shift_sigmas(moved, 1 / shift), sigmas, atol=1e-12)


def test_a_process_is_told_from_others_by_its_numbers_in_every_version_of_the_pack():
    # Run records hold this digest: with another one, every run that was begun before would be refused.
    assert flow.FLOW.digest == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
