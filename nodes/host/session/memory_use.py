"""How much memory a piece of work takes, and whether an error means that there was too little."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ....training.distributed.shortage import KINDS, lacks_memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that the device or the host ran out of memory."""
    import comfy.model_management as management

    oom: Any = management.OOM_EXCEPTION
    return lacks_memory(error, KINDS if oom is Exception else (*KINDS, oom))


def free_memory() -> None:
    """Give back what nobody holds, also by an error that goes to other processes: it holds itself."""
    import comfy.model_management as management

    gc.collect()
    management.soft_empty_cache()


class Peak:
    """What ``peak_memory`` finds."""

    bytes: int = 0


class CountedPeak(Peak):
    """The same while it is counted, in parts."""

    def __init__(self, living: _Living) -> None:
        self._living = living

    def take(self) -> int:
        """The peak so far; from here on another one is looked for."""
        peak, self._living.peak = self._living.peak, self._living.now
        return peak


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """The most bytes that tensors made in a with block take on a device at once, known at its end.

    CUDA counts by itself. Elsewhere the storages that operations return are counted while they live: the
    resident memory of a process would also have what the allocator keeps from before.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.bytes = max(0, torch.cuda.max_memory_allocated(device) - before)
        return
    with counted_peak(device) as counted:
        yield peak
    peak.bytes = counted.bytes


@contextmanager
def counted_peak(device: torch.device) -> Iterator[CountedPeak]:
    """``peak_memory`` by counting, on any device; it works on tensors without numbers, too."""
    with _Living(device) as living:
        peak = CountedPeak(living)
        yield peak
    peak.bytes = living.peak


class _Living(TorchDispatchMode):
    """Counts storages from the operation that returns them until they are freed."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.now, self.peak = device, 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        given = {_place(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)}
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == self.device.type:
                self._add(tensor, given)
        return results

    def _add(self, tensor: torch.Tensor, given: set[int]) -> None:
        place = _place(tensor)
        if place in self._known or place in given:
            return
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        self._known.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, place, size)

    def _remove(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size


def _place(tensor: torch.Tensor) -> int:
    """Identity of a tensor's storage."""
    return tensor.untyped_storage()._cdata
