"""The position ids of CogVideoX are those of diffusers' pipeline."""

from __future__ import annotations

import logging
from typing import Any

import comfy.model_management
import pytest
import tiny_families as families
import torch
from diffusers_networks import rope as of_diffusers
from torch import Tensor

from pack.nodes.host.model import rope
from pack.nodes.host.model.noise import repaired

CPU = torch.device("cpu")
HEAD = 64
GRIDS = [(30, 45), (30, 30), (45, 30), (60, 90), (17, 23), (2, 2), (1, 7)]


def of_model(model: Any, height: int, width: int, frames: int) -> tuple[Tensor, Tensor]:
    """What the network computes while the MODEL is loaded."""
    comfy.model_management.load_models_gpu([model])
    return model.model.diffusion_model._get_rotary_emb(height, width, frames, CPU)


@pytest.mark.parametrize("grid", GRIDS)
def test_rope_is_that_of_the_pipeline_for_any_grid(grid):
    ours, expected = rope.rotary_embeddings(HEAD, *grid, 3, CPU), of_diffusers(HEAD, 3, *grid)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def test_a_repaired_model_uses_them_and_its_base_does_not(caplog):
    base = families.model_of("CogVideoX 5B")
    with caplog.at_level(logging.INFO):
        model = repaired(base)
    assert "spaces the tokens of CogVideoX 5B too far apart" in caplog.text
    expected = of_diffusers(HEAD, 2, 30, 45)
    assert all(torch.equal(a, b) for a, b in zip(of_model(model, 30, 45, 2), expected, strict=True))
    assert rope.ROPE in repaired(base).object_patches  # also while the first one is loaded
    cos, _ = of_model(base, 30, 45, 2)
    assert float((cos - expected[0]).abs().max()) > 1.0


@pytest.mark.parametrize("name", ["CogVideoX 1.5", "CogVideoX 2B", "Wan 2.1"])
def test_a_model_whose_rope_is_right_keeps_it(name):
    model = families.model_of(name)
    assert rope.trained_rope(model) is None
    assert rope.ROPE not in repaired(model).object_patches


def test_a_host_that_spaces_them_right_is_left_alone(monkeypatch):
    model = families.model_of("CogVideoX 5B")
    monkeypatch.setattr(model.model.diffusion_model, "spatial_interpolation_scale", 1.0)
    assert rope.trained_rope(model) is None
