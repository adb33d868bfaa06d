"""A process that shares the steps of small runs with others: torch alone, no host.

python tests/support/training/shared_engine.py FOLDER [--endless]

does every scenario in turn and writes what came of each into FOLDER, with the process's number; or trains until another
process is lost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from killed_training import load_pack
from torch import nn

STEPS, CLIPS, BATCH, ACCUMULATION = 50, 5, 3, 3  # in two shares of a step one batch is cut
SHAPE = (4, 3, 6, 6)  # of a clip's latents


class TinyNet(nn.Module):
    """Two LoRA-like products around a nonlinearity, as deep as rounding needs to show."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.first = nn.Parameter(torch.randn(16, 4, generator=generator) / 2)
        self.second = nn.Parameter(torch.zeros(4, 16))

    def forward(self, xt: torch.Tensor, sigma: torch.Tensor, conditioning: Any) -> torch.Tensor:
        """``[B, C, T, h, w]``; the caption shifts the hidden channels."""
        text = torch.stack([entry["cross_attn"] for entry in conditioning])
        hidden = torch.einsum("bcthw,dc->bdthw", xt, self.first) + text[:, :, None, None, None]
        return torch.einsum("bdthw,cd->bcthw", torch.tanh(hidden * (1 + sigma[:, None, None, None, None])), self.second)


class CountingNet(TinyNet):
    """Notes how many clips each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, xt: torch.Tensor, sigma: torch.Tensor, conditioning: Any) -> torch.Tensor:
        self.calls.append(len(xt))
        return super().forward(xt, sigma, conditioning)


def make(seed: int = 0, batch: int = BATCH, steps: int = STEPS) -> tuple[Any, Any, CountingNet]:
    """An objective, a trainer and its network, a function of the seed alone."""
    from pack.training.core.config import TrainConfig
    from pack.training.core.trainer import Trainer
    from pack.training.motion.appearance import AppearanceObjective

    generator = torch.Generator().manual_seed(seed)
    clips = [torch.randn(SHAPE, generator=generator) for _ in range(CLIPS)]
    texts = [{"cross_attn": torch.randn(16, generator=generator)} for _ in range(CLIPS + 1)]
    config = TrainConfig(
        steps=steps, batch_size=batch, accumulation=ACCUMULATION, learning_rate=0.01, caption_dropout=0.3, ema_decay=0.9
    )
    objective = AppearanceObjective(clips, texts[1:], texts[0], config)
    net = CountingNet()
    return objective, Trainer(objective, net, net.parameters(), config), net


def trained(**options: Any) -> dict[str, Any]:
    """A whole run, as values."""
    from pack.training.core.loop import run_steps
    from pack.training.core.state import TrainState

    _, trainer, net = make(**options)
    state = TrainState()
    records: list[Any] = []
    run_steps(trainer, state, lambda _step, record: records.append(record))
    return {
        "losses": state.losses,
        "sigmas": state.sigmas,
        "clips": [record.clips for record in records],
        "per_sample": [record.per_sample for record in records],
        "weights": [weight.detach() for weight in trainer.parameters],
        "average": trainer.values()["average"]["weights"],
        "calls": sum(net.calls),
        "passes": len(net.calls),
    }


def failing(group: Any, error: BaseException) -> dict[str, Any]:
    """Process 1 fails in step 4; what each of them raises, and after how many steps."""
    from pack.training.core.loop import run_steps
    from pack.training.core.state import TrainState

    objective, trainer, _ = make()
    state, draw, seen = TrainState(), objective.batch, []

    def batch(*given: Any) -> Any:
        seen.append(1)
        if group.rank == 1 and state.step == 3:
            raise error
        return draw(*given)

    objective.batch = batch
    try:
        run_steps(trainer, state)
    except BaseException as raised:
        return {"raised": type(raised).__name__, "steps": state.step}
    return {"raised": "", "steps": state.step}


def torn(group: Any) -> dict[str, Any]:
    """The memory of process 0 runs out within the update of step 4; what each raises, and after how many steps."""
    from pack.training.core.loop import run_steps
    from pack.training.core.state import TrainState

    _, trainer, _ = make()
    state, noted = TrainState(), []

    def fail(*_: Any) -> None:
        if state.step == 3:
            raise MemoryError("the moments find no room")

    if group.rank == 0:
        trainer.optimizer.register_step_pre_hook(fail)
    try:
        run_steps(trainer, state, note=lambda step, _: noted.append(step))
    except MemoryError as raised:
        return {"raised": str(raised), "steps": state.step, "noted": noted, "torn": trainer.torn, "apart": group.apart}
    return {}


def stopped(group: Any) -> dict[str, Any]:
    """Somebody asks process 1 to stop after step 4; after how many steps each ends."""
    from pack.training.core.loop import Stopped, run_steps
    from pack.training.core.state import TrainState

    _, trainer, _ = make()
    state = TrainState()

    def after(step: int, _record: Any) -> None:
        if group.rank == 1 and step == 4:
            group.ask_end()
        if group.stops():
            raise Stopped

    run_steps(trainer, state, after)
    ended, group.ended = group.ended, False
    return {"steps": state.step, "ended": ended}


def told(group: Any) -> Any:
    """What process 0 tells, as the others hear it."""
    values = {"plain": [1, None, "two", 0.5], "tensors": {"a": torch.arange(6.0).view(2, 3), "b": (torch.ones(1),)}}
    if group.rank:
        return group.hear()[1]
    group.tell("something", values)
    return values


def endless(group: Any, folder: Path) -> None:
    """Train until another process is lost; a file of the process says which step it has done."""
    from pack.training.core.loop import run_steps
    from pack.training.core.state import TrainState
    from pack.training.distributed.processes import PeerLostError

    _, trainer, _ = make(steps=10**6)
    try:
        run_steps(trainer, TrainState(), lambda step, _: (folder / f"step_{group.rank}").write_text(str(step)))
    except PeerLostError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    """Do all of it."""
    from pack.training.distributed.group import joined
    from pack.training.distributed.processes import among
    from pack.training.storage.state_file import write_state

    folder = Path(sys.argv[1])
    with joined(cpu=True) as group, among(group):
        if "--endless" in sys.argv:
            endless(group, folder)
        results = {
            "rank": group.rank,
            "whole": trained(),
            "again": trained(),
            "idle": trained(batch=1, steps=3),
            "failed": failing(group, ValueError("broken")),
            "memory": failing(group, RuntimeError("DefaultCPUAllocator: out of memory")),
            "torn": torn(group),
            "stopped": stopped(group),
            "told": told(group),
        }
        write_state(folder / f"{group.count}_{group.rank}.safetensors", results)


if __name__ == "__main__":
    load_pack()
    if "--endless" not in sys.argv:  # there a process is lost without a word
        from no_clock import wait_for_peers

        wait_for_peers()
    main()
    sys.stdout.flush()
