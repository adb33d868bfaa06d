"""A training step of Wan equals one computed with diffusers' network from the paper's definitions."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from diffusers import WanTransformer3DModel
from diffusers.models import AutoencoderKLWan
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.tic_ft_training import make_objective
from pack.nodes.host.training import training_session
from pack.training.batches import StepGenerators, batch_indices
from pack.training.config import TrainConfig
from pack.training.loop import train
from pack.training.tic_ft import TicftRecipe

CONDITION, BUFFER, TARGET = 1, 3, 2
RENAMES = (  # the host's names -> diffusers' names
    (r"^text_embedding\.0", "condition_embedder.text_embedder.linear_1"),
    (r"^text_embedding\.2", "condition_embedder.text_embedder.linear_2"),
    (r"^time_embedding\.0", "condition_embedder.time_embedder.linear_1"),
    (r"^time_embedding\.2", "condition_embedder.time_embedder.linear_2"),
    (r"^time_projection\.1", "condition_embedder.time_proj"),
    (r"^head\.head", "proj_out"),
    (r"^head\.modulation", "scale_shift_table"),
    (r"\.modulation$", ".scale_shift_table"),
    (r"\.norm3\.", ".norm2."),
    (r"\.self_attn\.", ".attn1."),
    (r"\.cross_attn\.", ".attn2."),
    (r"\.([qkv])\.", r".to_\1."),
    (r"\.o\.", ".to_out.0."),
    (r"\.ffn\.0", ".ffn.net.0.proj"),
    (r"\.ffn\.2", ".ffn.net.2"),
)


def diffusers_name(name: str) -> str:
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def diffusers_wan(weights: dict[str, Tensor], lora: dict[str, Tensor]) -> WanTransformer3DModel:
    """diffusers' network with the host's weights and the LoRA added to them."""
    config = tiny_wan.CONFIG
    network = WanTransformer3DModel(
        num_attention_heads=config["num_heads"],
        attention_head_dim=config["dim"] // config["num_heads"],
        text_dim=config["text_dim"],
        freq_dim=config["freq_dim"],
        ffn_dim=config["ffn_dim"],
        num_layers=config["num_layers"],
    )
    merged = dict(weights)
    for key in [key for key in lora if key.endswith(".lora_up.weight")]:
        layer = key.removesuffix(".lora_up.weight")
        up, down, alpha = lora[key], lora[f"{layer}.lora_down.weight"], lora[f"{layer}.alpha"]
        name = layer.removeprefix("diffusion_model.") + ".weight"
        merged[name] = merged[name] + alpha / up.shape[1] * up @ down
    network.load_state_dict({diffusers_name(name): value for name, value in merged.items()})
    return network.eval()


def paper_levels(sigma: float) -> list[float]:
    """Per-frame levels of arXiv 2506.00996, eq. 4 and 7."""
    buffers = [min(sigma, b / (BUFFER + 1)) for b in range(1, BUFFER + 1)]
    return [0.0] * CONDITION + buffers + [sigma] * TARGET


def paper_step(
    network: WanTransformer3DModel, latents: Tensor, noise: Tensor, sigma: Tensor, text: Tensor
) -> tuple[Tensor, Tensor]:
    """Network input and loss of each clip, from VAE latents."""
    config = AutoencoderKLWan(base_dim=8, num_res_blocks=1).config
    mean, std = (torch.tensor(config[key]).view(1, 16, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    x0 = (latents - mean) / std
    xt = torch.empty_like(x0)
    for i, level in enumerate(sigma.tolist()):
        for f, s in enumerate(paper_levels(level)):
            xt[i, :, f] = (1 - s) * x0[i, :, f] + s * noise[i, :, f]
    with torch.no_grad():
        velocity = network(xt, sigma * 1000, text, return_dict=False)[0]
    error = (velocity - (noise - x0))[:, :, CONDITION + BUFFER :]
    return xt, error.square().flatten(1).mean(1)


def our_step(model: Any, config: TrainConfig, steps: int) -> dict[str, Any]:
    """Train so many steps, then take the next one apart."""
    recipe = TicftRecipe("image to video", Layout.linear(CONDITION, BUFFER, TARGET))
    data, seen = encoded_pairs(clips=4), {}
    objective = make_objective(model, data, recipe, config)

    def look(_network: Any, args: tuple, kwargs: dict) -> None:
        seen.update(xt=args[0], timestep=args[1], context=kwargs["context"])

    with training_session(model, config) as session:
        train(objective, session.predict, session.adapters.parameters(), config)
        handle = model.model.diffusion_model.register_forward_pre_hook(look, with_kwargs=True)
        indices = batch_indices(config.seed, steps, objective.size, config.batch_size)
        batch = objective.batch(indices, StepGenerators.at(config.seed, steps))
        loss = objective.loss(session.predict, batch).per_sample.detach()
        handle.remove()
        lora = session.adapters.tensors()
    latents = torch.stack([data.encode(recipe).samples[i].latents["x0"] for i in indices])
    return {**seen, "batch": batch, "loss": loss, "lora": lora, "latents": latents}


@pytest.mark.parametrize("steps", [1, 8])
def test_network_input_and_loss_equal_the_papers_definitions(tmp_path, steps):
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors", seed=3))
    weights = tiny_wan.weights_of(model)
    config = TrainConfig(rank=4, steps=steps, batch_size=3, learning_rate=0.02, seed=2)
    with torch.inference_mode():
        ours = our_step(model, config, steps)
    batch = ours["batch"]
    given = (ours["latents"], batch.noise, batch.sigma, ours["context"])
    xt, loss = paper_step(diffusers_wan(weights, ours["lora"]), *given)
    torch.testing.assert_close(ours["xt"], xt, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours["timestep"], batch.sigma * 1000)
    torch.testing.assert_close(ours["loss"], loss, rtol=1e-4, atol=0)
    bare = paper_step(diffusers_wan(weights, {}), *given)[1]
    assert ((loss - bare) / bare).abs().max() > 1e-3  # the LoRA is really part of what was compared
