"""One training step on a tiny model of any family, for what must not depend on how it is computed."""

from __future__ import annotations

from typing import Any

import torch
from tiny_families import TOKENS, Tiny, model_of
from torch import Tensor

CHANNELS = {"Wan 2.2 5B": 48, "LTXV": 128, "LTX-2": 128, "LTX-2.3": 128, "HunyuanVideo 1.5": 32}


def objective_of(family: Tiny, config: Any, clips: int = 2, size: int = 4) -> Any:
    """Random clips of a small layout, as the trainer has them after encoding."""
    from pack.methods.tic_ft import Layout
    from pack.nodes.host.model.noise import process_of, repaired
    from pack.training.tic_ft.objective import TicftObjective, TicftRecipe

    layout = Layout.linear(*((2, 4, 2) if family.time_patch == 2 else (1, 3, 2)))
    generator = torch.Generator().manual_seed(5)
    shape = (CHANNELS.get(family.name, 16), layout.frames, size, size)
    x0 = [torch.randn(shape, generator=generator) for _ in range(clips)]
    texts = [
        {"cross_attn": torch.randn(TOKENS, family.text_dim, generator=generator), **family.kept} for _ in range(clips)
    ]
    recipe = TicftRecipe("custom", layout)
    return TicftObjective(x0, texts, texts[0], recipe, config, process=process_of(repaired(model_of(family.name))))


def loss_and_gradients(session: Any, objective: Any, config: Any) -> tuple[Tensor, list[Tensor]]:
    """Of step 0, with adapters that add something."""
    from pack.training.core.batches import StepGenerators

    generator = torch.Generator().manual_seed(7)
    parameters = list(session.trained.parameters())
    for parameter in parameters:
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        parameter.grad = None
    batch = objective.batch(range(config.batch_size), StepGenerators.at(0, 0)).to(session.device)
    loss = objective.loss(session.predict, batch).per_sample.mean()
    loss.backward()
    return loss.detach(), [parameter.grad for parameter in parameters]
