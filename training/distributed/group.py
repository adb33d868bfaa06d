"""Processes that share a run over torch.distributed: on one machine or several, with cards or without."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch import distributed as dist

from ..storage.state_file import packed, unpacked
from .heartbeat import Heartbeats
from .processes import PeerError, Processes
from .sharding import mesh_of, split

WAIT = timedelta(days=30)  # torch's own limit; who waits while process 0 validates or saves is not lost
LOSS = ("gloo", "connection closed", "connection reset", "broken pipe")  # in torch's plain RuntimeErrors
POLL = 0.0005, 0.05  # seconds between two looks at an exchange under way, at first and at most


class ProcessGroup(Processes):
    """The processes that a launcher has started, each with the whole run and a part of each step."""

    def __init__(self, rank: int, count: int, beats: Heartbeats, mesh: Any = None) -> None:
        """Of a group that torch has joined already; with a ``mesh`` the base is split over it."""
        super().__init__()
        self.splits, self.mesh = mesh is not None, mesh
        self.rank, self.count, self.beats = rank, count, beats
        beats.start()
        self.messages: Any = dist.new_group(backend="gloo", timeout=WAIT)  # messages lie in the host's memory
        self.flags: Any = dist.new_group(backend="gloo", timeout=WAIT)  # who waits for a flag hears no message

    def add_up(self, flat: Tensor) -> None:
        """Replace a tensor by its sum over all processes.

        Raises:
            PeerLostError: another process is gone, or cannot be reached.
        """
        self._wait(lambda: dist.all_reduce(flat, async_op=True))

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """Which of some flags a process gives; they lie in the host's memory, of which a byte is always left.

        Raises:
            PeerLostError: another process is gone, or cannot be reached.
        """
        found = torch.tensor(list(flags), dtype=torch.uint8)
        self._wait(lambda: dist.all_reduce(found, dist.ReduceOp.MAX, group=self.flags, async_op=True))
        return [bool(flag) for flag in found.tolist()]

    def most(self, number: int) -> int:
        """The largest that a process gives.

        Raises:
            PeerLostError: another process is gone, or cannot be reached.
        """
        found = torch.tensor([number])
        self._wait(lambda: dist.all_reduce(found, dist.ReduceOp.MAX, group=self.messages, async_op=True))
        return int(found)

    def split(
        self, network: nn.Module, blocks: Sequence[nn.Module], device: torch.device
    ) -> AbstractContextManager[None]:
        """Let each process hold a share of each block for a while, see ``sharding.split``."""
        return split(network, blocks, device, self.mesh)

    def leave(self, error: BaseException) -> NoReturn:
        """End with an error in the middle of what all processes do together; torch's own about a lost one says so."""
        self.apart = True
        known = isinstance(error, PeerError) or not isinstance(error, RuntimeError)
        if known or not (isinstance(error, dist.DistError) or any(sign in str(error).lower() for sign in LOSS)):
            raise error
        raise self.beats.broken(str(error).partition("\n")[0]) from error

    def say(self, error: BaseException) -> None:
        """Let the others know why this process cannot do its part; they hear of it with the flag ``FAILED``."""
        self.beats.say(error)

    def said(self) -> str:
        """Why another process could not do its part."""
        return self.beats.said() or super().said()

    def end_with(self, error: BaseException) -> None:
        """Let the others know why this process ends, wherever they are; its part in the run is over."""
        if not isinstance(error, PeerError):  # else all know
            self.beats.leave(error)

    def tell(self, what: str, values: Any = None) -> None:
        """As process 0: send plain values and tensors to the others, under a word.

        Raises:
            PeerFailedError, PeerLostError: another process has ended the run, is gone, or cannot be reached.
        """
        data = packed([what, values])
        self._send(torch.tensor([len(data)]))
        self._send(torch.frombuffer(bytearray(data), dtype=torch.uint8))

    def hear(self) -> tuple[str, Any]:
        """As another process: wait for what process 0 tells.

        Raises:
            PeerLostError: process 0 is gone, or cannot be reached.
        """
        size = torch.zeros(1, dtype=torch.long)
        self._send(size)
        data = torch.empty(int(size), dtype=torch.uint8)
        self._send(data)
        what, values = unpacked(data.numpy().tobytes())
        return what, values

    def _send(self, tensor: Tensor) -> None:
        self._wait(lambda: dist.broadcast(tensor, 0, group=self.messages, async_op=True))

    def _wait(self, begin: Any) -> None:
        """Let an exchange come to its end, unless a process that is needed for it is lost, or has ended the run."""
        pause, most = POLL
        try:
            work = begin()
            while not work.is_completed():
                self.beats.check()
                time.sleep(pause)
                pause = min(2 * pause, most)
            work.wait()
        except RuntimeError as error:  # of torch: a connection was closed
            if isinstance(error, PeerError):
                raise
            raise self.beats.broken(str(error).partition("\n")[0]) from error


@contextmanager
def joined(cpu: bool, splits: bool = False) -> Iterator[Processes]:
    """Join the processes that a launcher has started together with this one; alone where none has.

    With ``splits`` they hold the base together.

    Accelerate reads what its own launcher, torchrun, Slurm or MPI have put into the environment, and gives each process
    a card of its own.

    Raises:
        RuntimeError: there are several processes and Accelerate is not installed.
    """
    if not several():
        yield Processes()
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise RuntimeError(
            "the package accelerate is not installed, which several processes need; run `pip install accelerate` with "
            "the Python that runs ComfyUI"
        ) from error
    state: Any = PartialState(cpu=cpu, timeout=WAIT, **backend(cpu))
    # Who gathers a share waits in torch and not for the heartbeats.
    beats = Heartbeats(state.process_index, state.num_processes, splits or state.device.type != "cpu")
    try:
        mesh = mesh_of(state.device.type) if splits else None
        group = ProcessGroup(state.process_index, state.num_processes, beats, mesh)
    except BaseException:
        beats.stop()
        raise
    try:
        yield group
    except BaseException as error:
        group.end_with(error)
        beats.stop()  # and no more: torch would wait for an exchange under way, which the others may never end
        raise
    beats.stop()
    if not beats.over:  # else it would wait for who is not there
        dist.destroy_process_group()


def backend(cpu: bool) -> dict[str, str]:
    """What Accelerate is asked for: gloo for cards where PyTorch has no NCCL, as on Windows; else it chooses."""
    return {} if cpu or not torch.cuda.is_available() or dist.is_nccl_available() else {"backend": "gloo"}


def several() -> bool:
    """Whether a launcher has started this process as one of several."""
    import os

    names = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    return any(os.environ.get(name, "1").isdecimal() and int(os.environ.get(name, "1")) > 1 for name in names)
