"""Two processes of a run, one after the other in this one: what process 0 tells, and what the other makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tic_ft_runs import train

from pack.training.distributed.processes import Processes, among


class Leader(Processes):
    """Process 0 of two, which notes what it tells."""

    rank, count = 0, 2

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, Any]] = []

    def tell(self, what: str, values: Any = None, **_: float) -> None:
        self.messages.append((what, values))


class Follower(Processes):
    """Process 1 of two, which hears messages."""

    rank, count = 1, 2

    def __init__(self, messages: Sequence[tuple[str, Any]]) -> None:
        super().__init__()
        self.messages, self.told = list(messages), [False] * 4

    def hear(self) -> tuple[str, Any]:
        return self.messages.pop(0)

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        self.told = list(flags)
        return self.told


def led(model: Any, **values: Any) -> list[tuple[str, Any]]:
    """What process 0 tells of a whole run."""
    leader = Leader()
    with among(leader):
        train(model, "shared", **values)
    return leader.messages
