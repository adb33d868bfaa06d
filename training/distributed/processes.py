"""The processes that share the steps of a run: one in ComfyUI; more come from ``training/distributed``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

STOP, END, MEMORY, FAILED = SIGNALS = range(4)  # what a process says to the others with its part of a step


class PeerFailedError(RuntimeError):
    """Another process could not do its part of a step."""


class PeerLostError(RuntimeError):
    """Another process is gone, or cannot be reached."""


class Processes:
    """One process that does all. With several, process ``rank`` of ``count`` does its part of each step.

    The parts are of the clips of a step, in their order, so that what a step learns from does not depend on how many
    processes there are. Process 0 leads: it alone writes files, and tells the others what to do.
    """

    rank, count = 0, 1

    def __init__(self) -> None:
        self.asked = False  # whether somebody asked this process to end the run
        self.ended = False  # and all that would follow it
        self.only_encodes = False  # whether runs fill the cache and train nothing
        self.stopping = False  # whether all processes end it after the step that was done last

    def part(self, clips: int) -> range:
        """Which clips of a step this process takes, of so many: shares that differ by one at most."""
        return range(self.rank * clips // self.count, (self.rank + 1) * clips // self.count)

    def ask_stop(self) -> None:
        """End the run after the step under way, in all processes."""
        self.asked = True

    def ask_end(self) -> None:
        """The same, and begin no further one."""
        self.asked = self.ended = True

    def stops(self) -> bool:
        """Whether the run ends now; every process is given the same answer after the same step."""
        stops = self.asked if self.count == 1 else self.stopping
        if stops:
            self.asked = self.stopping = False
        return stops

    def add_up(self, flat: Tensor) -> None:
        """Replace a tensor by its sum over all processes; of one process it is that."""

    def tell(self, what: str, values: Any = None, within: float = math.inf) -> None:
        """As process 0: send plain values and tensors to the others, under a word, within so many seconds."""

    def hear(self) -> tuple[str, Any]:
        """As another process: wait for what process 0 tells."""
        raise RuntimeError("there is no other process to hear from")


_current: list[Processes] = [Processes()]


def processes() -> Processes:
    """Those of this run."""
    return _current[-1]


@contextmanager
def among(others: Processes) -> Iterator[None]:
    """Let runs be shared with other processes for a while."""
    _current.append(others)
    try:
        yield
    finally:
        _current.pop()
