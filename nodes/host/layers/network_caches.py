"""Caches in the host's network code, whose values may come from a pass that computes shapes alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

NETWORKS = "comfy.ldm."  # where the host keeps them
_CACHED = type(lru_cache(lambda: None))


def clear_network_caches() -> None:
    """Forget what functions of the host's networks remember; it is computed again when it is asked for.

    LTX-Video's grid of frequencies, remembered from a pass of tensors without numbers, would make every later step one
    of such tensors: a loss of 0, no gradient, and a LoRA that has learned nothing.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(NETWORKS):
            for value in _functions(name, vars(module)):
                value.cache_clear()


def _functions(module: str, members: dict[str, Any]) -> Iterator[Any]:
    """Functions that remember, of a module and of the classes in it."""
    for value in list(members.values()):
        if isinstance(value, _CACHED):
            yield value
        elif isinstance(value, type) and value.__module__ == module:
            yield from (method for method in vars(value).values() if isinstance(method, _CACHED))
