"""What both training stages share: two optimisers, an average of the weights, a clock, resuming."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SAVE_EVERY = 60.0  # seconds


@dataclass(frozen=True)
class Plan:
    """How long and how fast; the rate is constant, then falls in a line until the time is over."""

    seconds: float  # of training, over all sittings
    rate: float  # peak learning rate of Muon
    other_rate: float  # peak learning rate of AdamW
    constant: float  # share of the time before the rate falls
    average: float  # decay of the average of the weights
    floor: float = 0.02  # of the rate, at the end
    warmup: int = 100  # steps

    def scale(self, done: float, step: int) -> float:
        """Factor on the rates when ``done`` (0 to 1) of the time is over."""
        fall = 1.0 if done < self.constant else max(self.floor, (1.0 - done) / (1.0 - self.constant))
        return fall * min(1.0, (step + 1) / self.warmup)


class Stage:
    """One resumable training stage, seeded by step; its state is one file that is written whole.

    Args:
        network: what is trained.
        matrices: parameters for Muon, the others go to AdamW.
        plan: rates and time.
        path: of the state file.
    """

    def __init__(self, network: nn.Module, matrices: list[Tensor], plan: Plan, path: Path) -> None:
        self.network, self.plan, self.path = network, plan, path
        chosen = {id(p) for p in matrices}
        others = [p for p in network.parameters() if id(p) not in chosen]
        muon = torch.optim.Muon(matrices, lr=plan.rate, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self.optimizers = [muon, torch.optim.AdamW(others, lr=plan.other_rate, betas=(0.9, 0.97), weight_decay=0.0)]
        self.average = [p.detach().clone() for p in network.parameters()]
        self.step, self.spent = 0, 0.0
        if path.exists():
            self._resume()

    @property
    def done(self) -> float:
        """Share of the time that is over."""
        return min(1.0, self.spent / self.plan.seconds)

    def run(self, loss_of: Callable[[int, float], Tensor], report: Callable[[Stage, float], None]) -> None:
        """Train until the time is over; ``loss_of(step, done)`` draws its batch by the step's number."""
        losses: list[float] = []
        saved, then = time.monotonic(), time.monotonic()
        while self.spent < self.plan.seconds:
            loss = loss_of(self.step, self.done)
            self._update(loss)
            losses.append(float(loss.detach()))
            now = time.monotonic()
            self.spent, then = self.spent + now - then, now
            if now - saved > SAVE_EVERY or self.spent >= self.plan.seconds:
                saved = now
                self.save()
                report(self, sum(losses) / len(losses))
                losses = []

    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights by parameter name."""
        return {
            name: value.clone() for (name, _), value in zip(self.network.named_parameters(), self.average, strict=True)
        }

    def save(self) -> None:
        """Write the state in one go."""
        state = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average,
            "step": self.step,
            "spent": self.spent,
        }
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.path)

    def _resume(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average, self.step, self.spent = state["average"], state["step"], state["spent"]

    def _update(self, loss: Tensor) -> None:
        for optimizer, rate in zip(self.optimizers, (self.plan.rate, self.plan.other_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * self.plan.scale(self.done, self.step)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.network.parameters()], 1 - decay)


def write_weights(weights: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file in one go."""
    temporary = path.with_suffix(".tmp")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary, metadata=metadata)
    temporary.replace(path)
