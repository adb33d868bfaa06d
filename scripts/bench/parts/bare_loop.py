"""What ``training_step.py`` measures against: the same training step with nothing around it.

Plain torch on the bare network: the same LoRA on the same layers, AdamW, clipping, TIC-FT's levels and loss.
No host patcher, no per-step generators, no dropout, no records.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTION = re.compile(r"blocks\.\d+\.(self_attn|cross_attn)\.[qkvo]")


def add_lora(network: nn.Module, rank: int) -> list[nn.Parameter]:
    """Add low-rank paths to the attention projections; returns what is trained."""
    trained: list[nn.Parameter] = []
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Linear) and ATTENTION.fullmatch(name):
            down = nn.Parameter(torch.randn(rank, layer.in_features) * layer.in_features**-0.5)
            up = nn.Parameter(torch.zeros(layer.out_features, rank))
            trained += [down, up]
            layer.register_forward_hook(
                lambda _layer, args, out, down=down, up=up: out + F.linear(F.linear(args[0], down), up)
            )
    return trained


def make_step(
    network: nn.Module,
    clips: list[Tensor],
    texts: list[Tensor],
    levels: Tensor,
    prefix: int,
    rank: int,
    batch: int,
) -> Callable[[], float]:
    """One training step of a host's network as a function, with a LoRA that is added here; see ``step_of``."""
    network.requires_grad_(False)

    def predict(xt: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        return network(xt, sigma * 1000, context=context, transformer_options={})

    return step_of(predict, add_lora(network, rank), clips, texts, levels, prefix, batch)


def step_of(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    trained: list[nn.Parameter],
    clips: list[Tensor],
    texts: list[Tensor],
    levels: Tensor,
    prefix: int,
    batch: int,
) -> Callable[[], float]:
    """One training step as a function; ``levels [F]`` are the frames' highest noise levels.

    ``predict`` makes a velocity of noisy clips, their levels and stacked texts.
    """
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.99), weight_decay=1e-4)

    def step() -> float:
        chosen = torch.randint(len(clips), (batch,)).tolist()
        x0 = torch.stack([clips[i] for i in chosen])
        noise, sigma = torch.randn_like(x0), torch.rand(batch)
        s = torch.minimum(sigma[:, None], levels)[:, None, :, None, None]
        velocity = predict((1 - s) * x0 + s * noise, sigma, torch.stack([texts[i] for i in chosen]))
        loss = (velocity - (noise - x0))[:, :, prefix:].square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        return loss.item()

    return step
