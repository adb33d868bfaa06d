"""The part that one of several processes does of a step, and what all of them made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .processes import END, FAILED, MEMORY, SIGNALS, STOP, PeerFailedError, Processes

OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)


@dataclass(frozen=True)
class Measured:
    """Loss and noise level of the clips of a step that one process took, ``[clips]`` each, 0 for those of others."""

    losses: Tensor
    sigmas: Tensor

    @classmethod
    def none(cls, clips: int) -> Measured:
        """For so many clips of a step."""
        return cls(torch.zeros(clips), torch.zeros(clips))


def add_up(
    group: Processes, parameters: Sequence[Tensor], measured: Measured, error: BaseException | None = None
) -> Measured:
    """Give every process the gradient of the whole step and what all clips measured, in one exchange of one tensor.

    Each process brings its summands of ``sum over clips d loss / (clips of the step)``; a sum of these is the gradient
    of the mean, so that shares may differ. Signals travel in the same tensor: who stops, failed or lacks memory tells
    the others, which would otherwise wait for it.

    Raises:
        BaseException: ``error``, once the others know.
        PeerFailedError: another process has failed.
        MemoryError: another process is out of memory.
        PeerLostError: another process is gone.
    """
    device = parameters[0].device
    sizes = [parameter.numel() for parameter in parameters]
    clips = len(measured.losses)
    flat = torch.zeros(sum(sizes) + 2 * clips + len(SIGNALS), device=device)
    pieces = flat.split([*sizes, clips, clips, len(SIGNALS)])
    if error is None:
        for piece, parameter in zip(pieces, parameters, strict=False):
            if parameter.grad is not None:
                piece.copy_(parameter.grad.reshape(-1))
        pieces[-3].copy_(measured.losses)
        pieces[-2].copy_(measured.sigmas)
    said = {STOP: group.asked, END: group.ended, MEMORY: _lacks_memory(error), FAILED: error is not None}
    pieces[-1].copy_(torch.tensor([float(said[signal]) for signal in SIGNALS]))
    group.add_up(flat)
    heard = pieces[-1].tolist()
    if error is not None:
        raise error
    if heard[MEMORY]:
        raise MemoryError("another process of the run is out of memory")
    if heard[FAILED]:
        raise PeerFailedError("another process of the run has failed and says why; this one ends with it")
    group.stopping = heard[STOP] > 0
    group.ended |= heard[END] > 0  # this process may have been asked since
    for piece, parameter in zip(pieces, parameters, strict=False):
        parameter.grad = piece.view_as(parameter).to(parameter.dtype)
    return Measured(pieces[-3].cpu(), pieces[-2].cpu())


def shared_values(
    group: Processes, count: int, value: Callable[[int], Tensor], device: torch.device | str
) -> list[float]:
    """``value(0)`` to ``value(count - 1)``, of which each process computes its part; all of them are given all.

    Raises:
        BaseException: what ``value`` raises here, once the others know.
        PeerFailedError: it has raised in another process.
        PeerLostError: another process is gone.
    """
    found, error = torch.zeros(count + 1, device=device), None
    try:
        for i in group.part(count):
            found[i] = value(i)
        if group.splits:  # all processes make equally many forwards
            for _ in range(max(map(len, group.parts(count))) - len(group.part(count))):
                value(0)
    except BaseException as failure:
        if group.splits or group.count == 1:
            group.leave(failure)
        error, found[-1] = failure, 1.0
    group.add_up(found)
    if error is not None:
        raise error
    if found[-1]:
        raise PeerFailedError("another process of the run has failed and says why; this one ends with it")
    return found[:-1].tolist()


def _lacks_memory(error: BaseException | None) -> bool:
    return isinstance(error, OUT_OF_MEMORY) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )
