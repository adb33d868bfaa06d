"""Other forwards in the place of modules' own, put on the modules themselves for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextmanager
def wrapped_forwards(modules: Iterable[nn.Module], wrap: Callable[[Forward], Forward]) -> Iterator[None]:
    """Have each module call ``wrap`` of its forward, for a while; what was there, of whom ever, comes back."""
    changed: list[tuple[nn.Module, Any]] = []
    try:
        for module in modules:
            changed.append((module, vars(module).get("forward")))
            module.forward = wrap(module.forward)
        yield
    finally:
        for module, own in changed:
            if own is None:
                del module.forward
            else:
                module.forward = own


def is_replaced(module: nn.Module) -> bool:
    """Whether another forward stands in the place of a module's own.

    Once a patch is off again, the host leaves the module's own as an attribute of it, which replaces nothing.
    """
    found = vars(module).get("forward")
    own = getattr(found, "__func__", None) is type(module).forward and getattr(found, "__self__", None) is module
    return found is not None and not own
