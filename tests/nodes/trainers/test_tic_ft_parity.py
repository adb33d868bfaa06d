"""A training step of Wan equals one computed with diffusers' network from the paper's definitions."""

from __future__ import annotations

import diffusers_networks
import pytest
import tiny_wan
import torch
from diffusers.models import AutoencoderKLWan
from step_apart import step_apart
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.training.core.config import TrainConfig
from pack.training.tic_ft.objective import TicftRecipe

CONDITION, BUFFER, TARGET = 1, 3, 2


def paper_levels(sigma: float) -> list[float]:
    """Per-frame levels of arXiv 2506.00996, eq. 4 and 7."""
    buffers = [min(sigma, b / (BUFFER + 1)) for b in range(1, BUFFER + 1)]
    return [0.0] * CONDITION + buffers + [sigma] * TARGET


def paper_step(
    network: diffusers_networks.Network, latents: Tensor, noise: Tensor, sigma: Tensor, text: Tensor
) -> tuple[Tensor, Tensor]:
    """Network input and loss of each clip, from VAE latents."""
    config = AutoencoderKLWan(base_dim=8, num_res_blocks=1).config
    mean, std = (torch.tensor(config[key]).view(1, 16, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    x0 = (latents - mean) / std
    xt = torch.empty_like(x0)
    for i, level in enumerate(sigma.tolist()):
        for f, s in enumerate(paper_levels(level)):
            xt[i, :, f] = (1 - s) * x0[i, :, f] + s * noise[i, :, f]
    error = (network(xt, sigma * 1000, text) - (noise - x0))[:, :, CONDITION + BUFFER :]
    return xt, error.square().flatten(1).mean(1)


@pytest.mark.parametrize("steps", [1, 8])
def test_network_input_and_loss_equal_the_papers_definitions(tmp_path, steps):
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors", seed=3))
    weights = tiny_wan.weights_of(model)
    config = TrainConfig(rank=4, steps=steps, batch_size=3, learning_rate=0.02, seed=2)
    with torch.inference_mode():
        ours = step_apart(model, TicftRecipe("image to video", Layout.linear(CONDITION, BUFFER, TARGET)), config)
    batch = ours["batch"]
    given = (ours["latents"], batch.noise, batch.sigma, ours["context"])
    trained = diffusers_networks.wan(diffusers_networks.with_lora(weights, ours["lora"]))
    xt, loss = paper_step(trained, *given)
    torch.testing.assert_close(ours["xt"], xt, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours["timestep"], batch.sigma * 1000)
    torch.testing.assert_close(ours["loss"], loss, rtol=1e-4, atol=0)
    bare = paper_step(diffusers_networks.wan(weights), *given)[1]
    assert ((loss - bare) / bare).abs().max() > 1e-3  # the LoRA is really part of what was compared
