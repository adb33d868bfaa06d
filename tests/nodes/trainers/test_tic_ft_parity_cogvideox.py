"""A training step of CogVideoX equals one computed with diffusers' network and scheduler."""

from __future__ import annotations

from math import ceil

import diffusers_networks
import pytest
import tiny_families
import tiny_wan
import torch
from diffusers import CogVideoXDDIMScheduler
from step_apart import step_apart
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.noise import repaired
from pack.training.core.config import TrainConfig
from pack.training.tic_ft.objective import TicftRecipe

T = 1000  # timesteps, 1 .. T in the paper and 0 .. T - 1 in diffusers
LEVELS = (0.04, 0.25, 0.3, 0.5, 0.8, 0.997)  # two of them are levels of buffers
SCALES = {"CogVideoX 5B": 0.7, "CogVideoX 2B": 1.15258426, "CogVideoX 1.5": 0.7}  # scaling_factor of vae/config.json
COUNTS = {"CogVideoX 5B": (1, 3, 2), "CogVideoX 2B": (1, 3, 2), "CogVideoX 1.5": (2, 2, 2)}


def paper_timesteps(layout: Layout, t: int) -> list[int]:
    """Per-frame timesteps of arXiv 2506.00996, eq. 4 and 7; 0 is clean."""
    buffers = [min(t, ceil(b * T / (layout.buffer + 1))) for b in range(1, layout.buffer + 1)]
    return [0] * layout.condition + buffers + [t] * layout.target


def paper_step(
    network: diffusers_networks.Network, scheduler: CogVideoXDDIMScheduler, scale: float, layout: Layout,
    latents: Tensor, noise: Tensor, timesteps: Tensor, text: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Network input, loss of each clip and the same loss in the authors' form; timesteps ``[B]`` in 1 .. T.

    Theirs is that of the clean latents, with the weight 1 / (1 - a), a the cumulative alpha.
    """
    x0 = latents * scale
    xt = x0.clone()
    for i, t in enumerate(timesteps.tolist()):
        for f, own in enumerate(paper_timesteps(layout, t)):
            if own:
                xt[i, :, f] = scheduler.add_noise(x0[i, :, f], noise[i, :, f], torch.tensor([own - 1]))
    velocity, target = network(xt, timesteps - 1, text), scheduler.get_velocity(x0, noise, timesteps - 1)
    a = scheduler.alphas_cumprod[timesteps - 1].float().view(-1, 1, 1, 1, 1)
    errors = (velocity - target, (a.sqrt() * xt - (1 - a).sqrt() * velocity - x0) / (1 - a).sqrt())
    return xt, *(error[:, :, layout.condition + layout.buffer :].square().flatten(1).mean(1) for error in errors)


@pytest.mark.parametrize("family", COUNTS)
def test_network_input_and_loss_equal_the_papers_definitions(family):
    layout, scheduler = Layout.linear(*COUNTS[family]), diffusers_networks.cogvideox_scheduler(family)
    model = repaired(tiny_families.model_of(family))
    weights = tiny_wan.weights_of(model)
    config = TrainConfig(rank=4, steps=8, batch_size=len(LEVELS), learning_rate=0.02, seed=2)
    with torch.inference_mode():
        ours = step_apart(model, TicftRecipe("image to video", layout), config, LEVELS)
    timesteps = torch.tensor([ceil(level * T) for level in LEVELS])
    given = (scheduler, SCALES[family], layout, ours["latents"], ours["batch"].noise, timesteps, ours["context"])
    host = model.model.diffusion_model
    tokens = ours["context"].shape[1]
    trained = diffusers_networks.cogvideox(diffusers_networks.with_lora(weights, ours["lora"]), host, tokens=tokens)
    xt, loss, loss_of_theirs = paper_step(trained, *given)
    torch.testing.assert_close(ours["xt"], xt, rtol=1e-4, atol=1e-5)
    assert ours["timestep"].tolist() == (timesteps - 1).tolist()
    torch.testing.assert_close(ours["loss"], loss, rtol=1e-4, atol=0)
    torch.testing.assert_close(ours["loss"], loss_of_theirs, rtol=1e-4, atol=0)
    bare = paper_step(diffusers_networks.cogvideox(weights, host, tokens=tokens), *given)[1]
    assert ((loss - bare) / bare).abs().max() > 1e-3  # the LoRA is really part of what was compared
