"""Videos of a grid that was cancelled, for the next Run of the same graph."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any


class KeptCells:
    """What is finished of one grid, as long as it is made of the same things.

    The host hands the same objects to a node as long as nothing before it has changed, so they are told apart as
    objects; a model or a VAE is not kept alive for it. Everything is forgotten with the first grid of other things.
    """

    def __init__(self) -> None:
        self._made_of: list[tuple[bool, Any]] = []
        self._cells: dict[Hashable, Any] = {}

    def of(self, *made_of: Any) -> dict[Hashable, Any]:
        """Finished cells of a grid of these objects and values; what is put in there is found at the next call."""
        if len(self._made_of) != len(made_of) or not all(map(_is_same, self._made_of, made_of)):
            self._made_of, self._cells = [_held(value) for value in made_of], {}
        return self._cells

    def forget(self) -> None:
        """Keep nothing."""
        self._made_of, self._cells = [], {}


def _is_same(held: tuple[bool, Any], now: Any) -> bool:
    weak, before = held
    if weak:  # what is gone is not the nothing that is connected now
        return now is not None and before() is now
    return before is now or (isinstance(now, (str, int, float, bool)) and before == now)


def _held(value: Any) -> tuple[bool, Any]:
    """The value, or a weak reference to it where there are such: a model's memory is the host's to take back."""
    try:
        return (False, value) if isinstance(value, (str, int, float, bool, type(None))) else (True, weakref.ref(value))
    except TypeError:  # lists and dicts: conditioning, and a latent
        return False, value
