"""The processes that share the steps of a run: one in ComfyUI; more come from ``training/distributed``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

STOP, END, MEMORY, FAILED = SIGNALS = range(4)  # what a process says to the others with its part of a step


class PeerError(RuntimeError):
    """The run ends because of another process."""


class PeerFailedError(PeerError):
    """Another process could not do its part."""


class PeerLostError(PeerError):
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
        self.splits = False  # whether the base is split over the processes, which then make every forward together
        self.stopping = False  # whether all processes end it after the step that was done last
        self.apart = True  # whether none waits for another one to do its part: no run goes on, or all know of its end

    def part(self, clips: int) -> range:
        """Which clips of a step this process takes, of so many: shares that differ by one at most."""
        return self.parts(clips)[self.rank]

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

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """Which of some flags a process gives; every process is given the same answer."""
        return list(flags)

    def most(self, number: int) -> int:
        """The largest that a process gives."""
        return number

    def split(
        self, _network: nn.Module, _blocks: Sequence[nn.Module], _device: torch.device
    ) -> AbstractContextManager[None]:
        """Let each process hold a share of each block for a while, see ``sharding.split``; one process holds it all."""
        return nullcontext()

    def say(self, error: BaseException) -> None:
        """Let the others know why this process cannot do its part; they hear of it with the flag ``FAILED``."""

    def said(self) -> str:
        """Why another process could not do its part."""
        return "another process of the run has failed and says why; this one ends with it"

    def end_with(self, error: BaseException) -> None:
        """Let the others know why this process ends, wherever they are; its part in the run is over."""

    def leave(self, error: BaseException) -> NoReturn:
        """End with an error in the middle of what all processes do together; torch's own about a lost one says so."""
        self.apart = True
        raise error

    def parts(self, clips: int) -> list[range]:
        """Which clips of a step each process takes, see ``part``."""
        return [range(rank * clips // self.count, (rank + 1) * clips // self.count) for rank in range(self.count)]

    def tell(self, what: str, values: Any = None) -> None:
        """As process 0: send plain values and tensors to the others, under a word."""

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
