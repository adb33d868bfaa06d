"""Tests draw the same numbers whatever ran before them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

DRAWN: list[tuple[float, float, float]] = []


def draw() -> tuple[float, float, float]:
    return float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002 - the global streams are meant


@pytest.fixture
def drawn() -> tuple[float, float, float]:
    return draw()


def test_a_test_begins_with_its_own_streams():
    assert draw() == pytest.approx((0.34159165620803833, 0.8411780967356409, 0.6665533684608774))


def test_a_fixture_draws_the_same_for_every_test(drawn):
    DRAWN.append(drawn)
    torch.rand(7)


def test_a_fixture_draws_the_same_for_every_test_again(drawn):
    assert not DRAWN or drawn == DRAWN[0]
