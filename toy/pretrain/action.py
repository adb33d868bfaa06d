"""The toy adapter of AICL: its sizes, and one evaluation of the toy video model with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ...methods.action_prism import PrismSizes
from ...methods.action_tokens import ActionTokens
from ...methods.aicl import AdapterSizes, new_adapter
from ...training.aicl.file import INTEGRATIONS, PRISM
from ...training.aicl.reading import Reading, read_actions
from ..text import WIDTH as TEXT_WIDTH
from ..weights import BASE, FINE_BASE
from .base import CONFIG
from .latents import LARGER
from .loop import Plan

# 16 queries a frame: one for each token of a frame, so that positions can stay positions.
SIZES = AdapterSizes(
    PrismSizes(CONFIG["in_dim"], TEXT_WIDTH, width=96, heads=4, layers=1, queries=16, token=128, grid=4),
    {f"blocks.{i}": CONFIG["dim"] for i in range(CONFIG["num_layers"])},
    inner=128,
)


@dataclass(frozen=True)
class Recipe:
    """What tells the training on the two bases apart."""

    base: Path
    name: str  # of the base, in the adapter's file
    stem: str  # of the run's files
    latents: str  # what the files of the clips are called
    size: float  # of the objects against the world's
    lengths: dict[int, tuple[float, int]]  # latent frames: how often, and clips in a batch
    plan: Plan
    report: int  # steps between two looks at right, wrong and no reference


RECIPES = {
    "coarse": Recipe(
        BASE, "the coarse toy video model", "action", "action", 1.0, {7: (0.4, 12), 13: (0.6, 12)},
        Plan(0.0, rate=2e-3, other_rate=1e-3, constant=0.5, average=0.998), 250,
    ),
    # A clip has four times as many tokens. It is meant to start from the coarse one's adapter, so its rates are lower.
    "fine": Recipe(
        FINE_BASE, "the fine toy video model", "fine_action", "action_large", LARGER, {7: (0.3, 6), 13: (0.7, 4)},
        Plan(0.0, rate=1e-3, other_rate=5e-4, constant=0.5, average=0.995), 400,
    ),
}  # fmt: skip


class ToyAdapter(nn.Module):
    """Prism and integrations in one module, named as a file names them."""

    def __init__(self, seed: int, mean: Tensor, std: Tensor) -> None:
        """A fresh one; ``mean`` and ``std`` are those of the references' latents, ``[16]``."""
        super().__init__()
        prism, integrations = new_adapter(SIZES, seed)
        prism.mean.copy_(mean)
        prism.std.copy_(std)
        self.prism, self.integrations = prism, integrations

    def matrices(self) -> list[Tensor]:
        """What Muon trains: the matrices inside, not the embeddings and queries."""
        inside = [*self.prism.layers.parameters(), *self.prism.head.parameters(), *self.integrations.parameters()]
        return [parameter for parameter in inside if parameter.ndim == 2 and min(parameter.shape) > SIZES.prism.queries]

    def tensors(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """All tensors of a file, with these weights by parameter name."""
        whole = {**self.state_dict(), **weights}
        return {name: whole[name] for name in whole if name.startswith((PRISM, INTEGRATIONS))}


def predict(
    network: nn.Module, adapter: ToyAdapter, xt: Tensor, sigma: Tensor, context: Tensor, readings: Sequence[Reading]
) -> Tensor:
    """Velocity ``[B, 16, T, 8, 8]`` of the host's Wan network, each sample reading its own references."""
    tokens = read_actions(adapter.prism, readings, xt.device)
    options = {"patches": {"attn2_patch": [lambda args: _acted(adapter, tokens, args)]}}
    return network(xt, sigma * 1000.0, context, transformer_options=options)


def action_loss(
    network: nn.Module,
    adapter: ToyAdapter,
    batch: tuple[Tensor, Tensor, Tensor, Tensor],
    readings: Sequence[Reading],
) -> Tensor:
    """Velocity error ``[B]`` of a batch of latents in model space, context, levels ``[B]`` and noise."""
    x0, context, sigma, noise = batch
    s = sigma.view(-1, 1, 1, 1, 1)
    prediction = predict(network, adapter, (1 - s) * x0 + s * noise, sigma, context, readings)
    return F.mse_loss(prediction.float(), noise - x0, reduction="none").flatten(1).mean(1)


def _acted(adapter: ToyAdapter, tokens: ActionTokens, args: dict) -> Tensor:
    x, options = args["x"], args["transformer_options"]
    block = adapter.integrations[f"blocks.{options['block_index']}"]
    frames = options["grid_sizes"][0]
    positions = rearrange(x, "b (t p) c -> b t p c", t=frames)
    mask = None if tokens.mask is None else tokens.mask.to(x.device)
    added = block(positions, block.keys_values(tokens), mask)
    return x + rearrange(added, "b t p c -> b (t p) c").to(x.dtype)


def half(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are shipped: fp16, but for the numbers that latents are brought to."""
    exact = (f"{PRISM}mean", f"{PRISM}std")
    return {name: value if name in exact else value.to(torch.float16) for name, value in weights.items()}
