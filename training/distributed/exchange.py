"""The part that one of several processes does of a step, and what all of them made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from .processes import END, FAILED, MEMORY, SIGNALS, STOP, PeerError, PeerFailedError, Processes
from .shortage import lacks_memory


@dataclass(frozen=True)
class Measured:
    """Loss and noise level of the clips of a step that one process took, ``[clips]`` each, 0 for those of others."""

    losses: Tensor
    sigmas: Tensor

    @classmethod
    def none(cls, clips: int) -> Measured:
        """For so many clips of a step."""
        return cls(torch.zeros(clips), torch.zeros(clips))


def agree(group: Processes, error: BaseException | None = None) -> None:
    """Go on where every process has done its part, or fail in all of them: who fails alone would be waited for.

    Who is asked to stop says so, too. An exchange of a few bytes, which takes no memory of a card.

    Raises:
        BaseException: ``error``, once the others know.
        PeerFailedError: another process has failed.
        MemoryError: another process is out of memory.
        PeerLostError: another process is gone.
    """
    if group.count == 1:
        if error is not None:
            raise error
        return
    short = lacks_memory(error)
    said = {STOP: group.asked, END: group.ended, MEMORY: short, FAILED: error is not None and not short}
    heard = [False] * len(SIGNALS)
    if said[FAILED] and error is not None:
        group.say(error)
    with suppress(*([PeerError] if error is not None else [])):  # what failed here says more
        heard = group.any_of([said[signal] for signal in SIGNALS])
        group.apart = heard[MEMORY] or heard[FAILED]
        group.stopping = heard[STOP]
        group.ended |= heard[END]  # this process may have been asked since
    if error is not None:
        raise error
    if heard[FAILED]:
        raise PeerFailedError(group.said())
    if heard[MEMORY]:
        raise MemoryError("another process of the run is out of memory")


@contextmanager
def agreed(group: Processes) -> Iterator[None]:
    """What every process does by itself: all go on after it, or none.

    Raises:
        BaseException: as ``agree``; of the body, once the others know.
    """
    error: BaseException | None = None
    try:
        yield
    except BaseException as failure:
        if group.apart or isinstance(failure, PeerError):  # nobody waits, or somebody never will again
            raise
        error = failure
    agree(group, error)


def add_up(
    group: Processes, parameters: Sequence[Tensor], measured: Measured, error: BaseException | None = None
) -> Measured:
    """Give every process the gradient of the whole step and what all clips measured, in one exchange of one tensor.

    Each process brings its summands of ``sum over clips d loss / (clips of the step)``; a sum of these is the gradient
    of the mean, so that shares may differ.

    Raises:
        BaseException: ``error``, or that there is no room for the tensor; as ``agree``.
    """
    sizes, clips = [parameter.numel() for parameter in parameters], len(measured.losses)
    flat = torch.empty(0)
    if error is None:
        try:
            flat = _brought(parameters, measured, sum(sizes))
        except BaseException as failure:
            error = failure
    agree(group, error)
    group.add_up(flat)
    *pieces, losses, sigmas = flat.split([*sizes, clips, clips])
    for piece, parameter in zip(pieces, parameters, strict=True):
        parameter.grad = piece.view_as(parameter).to(parameter.dtype)
    return Measured(losses.cpu(), sigmas.cpu())


def _brought(parameters: Sequence[Tensor], measured: Measured, size: int) -> Tensor:
    """What one process brings: its summands of all ``size`` gradients, then losses and noise levels."""
    flat = torch.zeros(size + 2 * len(measured.losses), device=parameters[0].device)
    begin = 0
    for parameter in parameters:
        if parameter.grad is not None:
            flat[begin : begin + parameter.numel()] = parameter.grad.reshape(-1)
        begin += parameter.numel()
    flat[size:] = torch.cat([measured.losses, measured.sigmas])
    return flat


def shared_values(
    group: Processes, count: int, value: Callable[[int], Tensor], device: torch.device | str
) -> list[float]:
    """``value(0)`` to ``value(count - 1)``, of which each process computes its part; all of them are given all.

    Raises:
        BaseException: what ``value`` raises here, once the others know; as ``agree``.
    """
    found, error = torch.empty(0), None
    try:
        found = torch.zeros(count, device=device)
        for i in group.part(count):
            found[i] = value(i)
        if group.splits:  # all processes make equally many forwards
            for _ in range(max(map(len, group.parts(count))) - len(group.part(count))):
                value(0)
    except BaseException as failure:
        if group.splits or group.count == 1:
            group.leave(failure)
        error = failure
    agree(group, error)
    group.add_up(found)
    return found.tolist()
