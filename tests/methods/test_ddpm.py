"""Velocity prediction on discrete timesteps: its closed forms, and that they fit together."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pack.methods import ddpm
from pack.methods.ddpm import DdpmProcess

SHAPE = (2, 3, 4, 2, 2)  # B C T H W
T = 1000


def sigmas_of(snr_shift: float = 1.0, zero_snr: bool = False) -> torch.Tensor:
    """The schedule as diffusers has it."""
    scheduler = CogVideoXDDIMScheduler(snr_shift_scale=snr_shift, rescale_betas_zero_snr=zero_snr)
    alphas = scheduler.alphas_cumprod.double()
    return ((1 - alphas) / alphas).sqrt()


def process() -> DdpmProcess:
    return DdpmProcess(sigmas_of())


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)


@pytest.mark.parametrize(("level", "timestep"), [(0.25, 249), (0.5, 499), (1.0, 999), (0.001, 0), (0.2501, 250)])
def test_a_level_is_the_timestep_it_is_the_share_of(level, timestep):
    ours = process()
    assert float(ours.sigma_at(torch.tensor(level))) == float(ours.sigmas[timestep])


class _NoFloat64(TorchDispatchMode):
    """Refuses what Apple's devices do not have, on every device but the CPU."""

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != "cpu" and tensor.dtype == torch.float64:
                raise TypeError(f"{func} made float64 on {tensor.device}")
        return made


def test_levels_on_a_device_without_float64_become_sigmas_there():
    with FakeTensorMode(allow_non_fake_inputs=True), _NoFloat64():
        found = process().sigma_at(torch.empty(2, 3, device="cuda"))
        assert (found.device.type, found.dtype, found.shape) == ("cuda", torch.float32, (2, 3))
        with pytest.raises(TypeError, match="float64 on cuda"):
            torch.empty(2, device="cuda").double()


@pytest.mark.parametrize("count", [1000, 50, 3])
def test_levels_beside_an_edge_are_the_timesteps_of_the_formula(count):
    ours = DdpmProcess(torch.arange(1.0, count + 1.0))
    level = ((torch.arange(count, dtype=torch.float64) + ddpm.ROUNDING) / count).float()
    below, above = torch.zeros(()), torch.ones(())
    levels = [level]
    for _ in range(3):
        levels = [torch.nextafter(levels[0], below), *levels, torch.nextafter(levels[-1], above)]
    found = torch.stack([*levels, torch.linspace(0, 1, count)])
    assert torch.equal(ours.sigma_at(found), (found.double() * count - ddpm.ROUNDING).ceil().float().clamp(min=0))


def test_level_zero_is_clean_and_levels_keep_their_shape_and_order():
    levels = torch.linspace(0, 1, 12).view(3, 4)
    sigmas = process().sigma_at(levels)
    assert sigmas.shape == (3, 4)
    assert float(sigmas[0, 0]) == 0
    assert (sigmas.flatten().diff() > 0).all()


def test_the_levels_of_buffers_are_those_of_the_paper_whatever_the_rounding():
    ours = process()
    for count in range(1, 12):
        for b in range(1, count + 1):
            level = torch.tensor(b / (count + 1), dtype=torch.float32)
            assert float(ours.sigma_at(level)) == float(ours.sigmas[math.ceil(b * T / (count + 1)) - 1]), (b, count)


def test_each_frame_is_noised_at_its_own_sigma_and_gives_its_noise_back():
    x0, noise = pair()
    sigmas = torch.rand(2, 4, generator=torch.Generator().manual_seed(1)) * 20
    state = process().add_noise(x0, noise, sigmas)
    for b in range(2):
        for f in range(4):
            s = float(sigmas[b, f])
            assert torch.allclose(state[b, :, f], x0[b, :, f] + s * noise[b, :, f], atol=1e-5)
            back = process().noise_in(state[b, :, f], x0[b, :, f], s)
            assert torch.allclose(back, noise[b, :, f], atol=1e-4)


def test_scaling_by_the_global_sigma_shows_each_frame_at_its_own():
    x0, noise = pair()
    own, sigma = torch.tensor([[0.0, 0.4, 2.0, 9.0]]).expand(2, 4), 9.0
    state = process().add_noise(x0, noise, own)
    shown = process().as_shown(state, own, sigma) / math.hypot(1.0, sigma)
    assert torch.allclose(shown, process().network_input(x0, noise, own), atol=1e-6)


@pytest.mark.parametrize("kind", [ddpm.DdpmProcess, ddpm.NoisePrediction])
def test_frames_at_sigmas_of_their_own_are_carried_along_what_the_network_says_of_them(kind):
    x0, noise = (x.double() for x in pair())
    ours, sigma = kind(sigmas_of()), 9.0
    own = torch.tensor([[0.1, 0.4, 2.0, 9.0]], dtype=torch.float64)
    last = torch.tensor([[0.0, 0.4, 1.5, 0.7]], dtype=torch.float64)
    state, answer = ours.add_noise(x0, noise, own), ours.target(x0, noise, own)
    shown, scale = ours.as_shown(state, own, sigma), math.hypot(1.0, sigma)
    by_velocity = shown / scale**2 - answer * sigma / scale
    denoised = by_velocity if kind is ddpm.DdpmProcess else shown - sigma * answer  # as k-samplers make x0
    carried = ours.carried(state, own, denoised, sigma, last)
    assert torch.allclose(carried, ours.add_noise(x0, noise, last), atol=1e-9)


def test_input_and_target_turn_back_into_the_clean_latent():
    x0, noise = (x.double() for x in pair())
    sigmas = torch.tensor([0.3, 40.0], dtype=torch.float64)
    s = sigmas.view(-1, 1, 1, 1, 1)
    shown, v = process().network_input(x0, noise, sigmas), process().target(x0, noise, sigmas)
    scale = (1 + s**2).sqrt()
    assert torch.allclose(shown / scale - v * s / scale, x0, atol=1e-9)
    assert torch.allclose(shown**2 + v**2, x0**2 + noise**2, atol=1e-9)  # a rotation


def test_a_network_that_predicts_the_noise_has_the_same_input_and_another_target():
    x0, noise = pair()
    sigmas = torch.tensor([0.3, 40.0])
    ours = ddpm.NoisePrediction(sigmas_of())
    assert torch.equal(ours.network_input(x0, noise, sigmas), process().network_input(x0, noise, sigmas))
    assert torch.equal(ours.target(x0, noise, sigmas), noise)
    assert not torch.equal(process().target(x0, noise, sigmas), noise)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_shifted_schedule_is_that_of_diffusers(scale):
    plain = sigmas_of()
    torch.testing.assert_close(ddpm.snr_shifted(plain, scale), sigmas_of(scale), rtol=1e-4, atol=0)


def test_the_last_timestep_of_a_stretched_schedule_is_pure_noise():
    stretched = ddpm.zero_terminal_snr(sigmas_of(3.0), 4518.0)
    assert float(stretched[-1]) == 4518.0
    torch.testing.assert_close(stretched[:900], sigmas_of(3.0, zero_snr=True)[:900], rtol=2e-4, atol=0)
    assert (stretched.diff() > 0).all()


def test_schedules_that_differ_have_digests_that_differ():
    sigmas = torch.linspace(0.1, 10.0, 5)
    assert DdpmProcess(sigmas).digest == DdpmProcess(sigmas.clone()).digest
    assert DdpmProcess(sigmas).digest != DdpmProcess(sigmas + 1e-6).digest
