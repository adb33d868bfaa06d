"""Sequences whose items are read when they are asked for, and what is kept of what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor

from .compact import Compact

T = TypeVar("T")
ROOM = 512 * 2**20  # bytes of entries that stay in memory


class Lazy(Sequence[T], Generic[T]):
    """Items by number, each made anew at every access; of tensors the shapes may be known without reading one."""

    def __init__(self, count: int, read: Callable[[int], T], shapes: Sequence[torch.Size] | None = None) -> None:
        self._count, self._read, self.shapes = count, read, shapes

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One item, read now; a slice is as lazy as the whole."""
        places = range(self._count)[index]
        if isinstance(places, int):
            return self._read(places)
        shapes = None if self.shapes is None else [self.shapes[i] for i in places]
        return Lazy(len(places), lambda i: self._read(places[i]), shapes)

    def __iter__(self) -> Iterator[T]:
        return (self._read(i) for i in range(self._count))


def mapped(items: Sequence[Any], change: Callable[[Any], Any], shapes: Sequence[torch.Size] | None = None) -> Lazy[Any]:
    """The items, each changed at every access; ``shapes`` are those of what they become."""
    return Lazy(len(items), lambda i: change(items[i]), shapes)


def shapes_of(tensors: Sequence[Tensor]) -> list[torch.Size]:
    """The shape of each tensor; of lazy ones that know it without reading them."""
    known = getattr(tensors, "shapes", None)
    return list(known) if known is not None else [tensor.shape for tensor in tensors]


class Kept:
    """The first entries that there is room for; clips come in a drawn order, so that none is more likely than others.

    None is let go of for another: the holes that it leaves would fill the memory with time.
    """

    def __init__(self, room: int | None = None) -> None:
        """``room`` is in bytes; None for ``ROOM``."""
        self.room, self.used = ROOM if room is None else room, 0
        self.full = self.room <= 0  # whether an entry found no room
        self._entries: dict[str, Compact] = {}

    def get(self, key: str) -> Compact | None:
        """The entry, or None."""
        return self._entries.get(key)

    def put(self, key: str, entry: Compact) -> None:
        """Keep an entry, if there is room."""
        if self.full or key in self._entries:
            return
        self.full = self.used + entry.bytes > self.room
        if not self.full:
            self._entries[key] = entry
            self.used += entry.bytes
