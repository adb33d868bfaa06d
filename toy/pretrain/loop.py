"""What both training stages share: two optimisers, an average of the weights, a clock, resuming."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
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
            self.update(loss)
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
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{i}": value for i, value in enumerate(self.average)}
        for i, optimizer in enumerate(self.optimizers):
            for key, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{key}.{name}": torch.as_tensor(value) for name, value in slots.items()}
        write_weights(tensors, self.path, {"step": str(self.step), "spent": repr(self.spent)})

    def _resume(self) -> None:
        with safe_open(self.path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = file.metadata()
        self.network.load_state_dict(_below("network.", tensors))
        self.average = [tensors[f"average.{i}"] for i in range(len(self.average))]
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _below(f"optimizer.{i}.", tensors).items():
                key, slot = name.split(".", 1)
                state.setdefault(int(key), {})[slot] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.step, self.spent = int(facts["step"]), float(facts["spent"])

    def update(self, loss: Tensor) -> None:
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


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries under a prefix, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def write_weights(weights: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file in one go."""
    temporary = path.with_suffix(".tmp")
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, temporary, metadata=metadata)
    temporary.replace(path)
