"""Run the TIC-FT trainer as the executor does, on a tiny model and random pairs."""

from __future__ import annotations

from typing import Any

import torch
from clip_pairs import encoded_pairs
from torch import Tensor

STEPS = 6


def train(model: Any, run_name: str, **values: Any) -> tuple:
    """The node as the executor runs it; returns its outputs."""
    arguments = {
        "encoded": encoded_pairs(), "task": "image to video", "rank": 4, "learning_rate": 0.02,
        "steps": STEPS, "batch_size": 2, "seed": 1, "run_name": run_name,
    }  # fmt: skip
    from pack.nodes.tic_ft_train import TICFTTrain

    with torch.inference_mode():
        return TICFTTrain.execute(model, **{**arguments, **values}).result


def probe() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    xt = torch.randn(1, 16, 6, 4, 4, generator=generator)
    return xt, torch.tensor([0.7]), torch.randn(1, 4, 32, generator=generator)


def interrupt_after(monkeypatch: Any, steps: int) -> None:
    """The user presses cancel: the host's flag is set once the loop has done so many steps."""
    import comfy.model_management

    from pack.nodes.host.services.progress import StepProgress

    show = StepProgress.show

    def pressed(self: Any, done: int, total: int | None = None) -> None:
        if total is None and done == steps:
            comfy.model_management.interrupt_current_processing()
        show(self, done, total)

    monkeypatch.setattr(StepProgress, "show", pressed)
