"""Optimisers by name: each of them learns, and one that is missing has a plain stand-in."""

from __future__ import annotations

import importlib.util
from itertools import pairwise

import pytest
import torch
from regression import Regression, new_trainer

from pack.training.core import optimizers
from pack.training.core.config import TrainConfig
from pack.training.core.loop import run_steps
from pack.training.core.optimizers import OPTIMIZERS, optimizer_names, with_installed_optimizer
from pack.training.core.state import TrainState

RATES = {"prodigy (prodigyopt)": 1.0, "lion (lion_pytorch)": 0.01}
PLAIN = [name for name, kind in OPTIMIZERS.items() if not kind.package]
FOREIGN = [name for name, kind in OPTIMIZERS.items() if kind.package]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_learns(name):
    if name not in optimizer_names():
        pytest.skip(f"{OPTIMIZERS[name].package} is not installed")
    rate = RATES.get(name, 0.05)
    config = TrainConfig(steps=200, batch_size=8, optimizer=name, learning_rate=rate, weight_decay=0.0)
    state = TrainState()
    run_steps(new_trainer(config, Regression(width=64)), state)
    assert sum(state.losses[-10:]) < 0.3 * sum(state.losses[:10])


def test_the_plain_ones_are_always_there():
    assert PLAIN == ["adamw", "adamw_8bit", "adafactor"]
    assert set(PLAIN) <= set(optimizer_names())


@pytest.mark.parametrize("name", FOREIGN)
def test_a_missing_package_is_told_and_a_plain_optimiser_takes_its_place(name, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == OPTIMIZERS[name].package else find(n, *a)
    )
    config, text = with_installed_optimizer(TrainConfig(optimizer=name, learning_rate=1.0))
    assert config.optimizer == OPTIMIZERS[name].fallback in PLAIN
    assert f"{OPTIMIZERS[name].package} is not installed" in text
    assert config.learning_rate == (1e-4 if OPTIMIZERS[name].finds_rate else 1.0)
    assert name not in optimizer_names()
    with pytest.raises(ValueError, match="is not installed; choose one of adamw"):
        optimizers.make_optimizer([torch.nn.Parameter(torch.zeros(2))], TrainConfig(optimizer=name))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="'sgd' is unknown; choose one of adamw"):
        with_installed_optimizer(TrainConfig(optimizer="sgd"))


def test_looking_for_a_package_does_not_import_it(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda *_: pytest.fail("imported"))
    assert optimizer_names()


def test_the_8bit_state_takes_two_bytes_a_weight():
    trainer = new_trainer(TrainConfig(optimizer="adamw_8bit"), Regression(width=128))
    trainer.step(TrainState())
    (state,) = trainer.optimizer.state.values()
    size = sum(value.numel() * value.element_size() for value in state.values() if torch.is_tensor(value))
    assert size < 2.1 * 128 * 128


def test_8_bits_stay_close_to_full_numbers():
    ends = []
    for name in ("adamw", "adamw_8bit"):
        config = TrainConfig(steps=60, batch_size=8, optimizer=name, learning_rate=0.02)
        trainer = new_trainer(config, Regression(width=80))
        run_steps(trainer, TrainState())
        ends.append(trainer.parameters[0].detach())
    assert (ends[0] - ends[1]).norm() < 0.1 * ends[0].norm()


def test_weight_decay_shrinks_what_no_gradient_moves():
    for name in PLAIN:
        weight = torch.nn.Parameter(torch.ones(80, 80))
        optimizer, _ = optimizers.make_optimizer(
            [weight], TrainConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5)
        )
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        torch.testing.assert_close(weight.detach(), torch.full((80, 80), 0.95))


def rates(**values) -> list[float]:
    """Learning rate of each of 30 steps, as a share of the whole one."""
    config = TrainConfig(steps=30, learning_rate=1.0, **values)
    _, schedule = optimizers.make_optimizer([torch.nn.Parameter(torch.zeros(2))], config)
    return [schedule.lr_lambdas[0](step) for step in range(config.steps)]


def test_cosine_with_restarts_restarts_as_often_as_asked():
    for cycles in (2, 3, 5):
        found = rates(lr_schedule="cosine_with_restarts", lr_cycles=cycles)
        assert sum(b > a for a, b in pairwise(found)) == cycles - 1
        assert [found[i * 30 // cycles] for i in range(cycles)] == [1.0] * cycles
    assert rates(lr_schedule="cosine_with_restarts", lr_cycles=1) == pytest.approx(rates(lr_schedule="cosine"))


def test_polynomial_has_a_power():
    whole = [1 - step / 30 for step in range(30)]
    assert rates(lr_schedule="polynomial", lr_power=1.0) == pytest.approx(whole, abs=1e-6)
    assert rates(lr_schedule="polynomial") == pytest.approx([share**2 for share in whole], abs=1e-6)
