"""How compiled blocks are called in a step, and such a call on its own: what shows whether a compiler works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


class _AllSeenError(BaseException):
    """Ends a forward pass of which nothing more is needed; no ``Exception``, so that no patch takes it for its own."""


@dataclass(frozen=True)
class BlockCall:
    """A call of a compiled block, its inputs cut off from what they were computed from."""

    forward: Callable[..., Any]  # compiled
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def compute(self, parameters: Sequence[Tensor]) -> None:
        """Forward and backward, as in a step, with nothing added to any gradient."""
        outputs = [value for value in tree_leaves(self.forward(*self.args, **self.kwargs)) if _learns(value)]
        if outputs:
            wanted = [value for value in tree_leaves((self.args, self.kwargs)) if _learns(value)] + list(parameters)
            torch.autograd.grad(outputs, wanted, [torch.ones_like(value) for value in outputs], allow_unused=True)


class BlockCalls:
    """The blocks of a network whose calls go through compiled code for as long as ``compiled`` says so."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self.compiled = True
        self.shapes_vary = False  # whether they are compiled for all shapes at once; to be set before the first call
        self._kinds = set(map(type, blocks))
        self._seen: dict[tuple[type[nn.Module], bool], BlockCall] | None = None

    def seen_in(self, compute: Callable[[], Any]) -> list[BlockCall]:
        """Of each kind of block the first call in ``compute``, and the first one whose inputs have gradients.

        The blocks are computed as they are, and no further than is needed.
        """
        with self._watching() as seen, suppress(_AllSeenError):
            compute()
        return list(seen.values())

    def pass_by(self, block: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Look at a call while calls are looked for; the last one that is needed ends the pass."""
        if self._seen is None:
            return
        key = type(block), any(map(_learns, tree_leaves((args, kwargs))))
        if key not in self._seen:
            self._seen[key] = BlockCall(forward, _cut_off(args), _cut_off(kwargs))
        if all((kind, True) in self._seen for kind in self._kinds):
            raise _AllSeenError

    @contextmanager
    def _watching(self) -> Iterator[dict[Any, BlockCall]]:
        compiled, self.compiled, self._seen = self.compiled, False, {}
        try:
            yield self._seen
        finally:
            self.compiled, self._seen = compiled, None


def _cut_off(value: Any) -> Any:
    """The same on its own; what is no plain container stays what it is, as compiled code asks for its very type."""
    if type(value) in (list, tuple):
        return type(value)(map(_cut_off, value))
    if type(value) is dict:  # in which the host writes the number of the next block
        return {name: _cut_off(part) for name, part in value.items()}
    return value.detach().requires_grad_() if _learns(value) else value


def _learns(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
