"""Blocks that change the tokens they are given, run so that autograd keeps what it needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .checkpointing import transformer_blocks
from .forwards import wrapped_forwards

OPERATORS = ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "getitem")
STREAMS = ("img", "txt")  # what HunyuanVideo's blocks call their tokens; elsewhere they come first, without a name
IN_PLACE_OPERATORS = ("iadd", "isub", "imul", "itruediv")


@contextmanager
def kept_inputs(network: nn.Module, pattern: str, changes: bool) -> Iterator[None]:
    """Let the blocks of a bare network compute out of place what they compute in place, for a while.

    The host's blocks of LTX and of HunyuanVideo add to their input in place, which saves memory in sampling; what
    autograd has kept of it is then another number. Checkpointing does not notice, so that its gradients would be
    silently wrong.

    Args:
        network: The bare network.
        pattern: Of its blocks, matched by whole names.
        changes: Whether they change their input; of others nothing is touched.
    """
    blocks = transformer_blocks(network, pattern) if changes else []
    handles: list[Any] = []
    try:
        for part in (part for block in blocks for part in block.children()):
            handles.append(part.register_forward_pre_hook(_plain_inputs, with_kwargs=True))
        with wrapped_forwards(blocks, _keeping):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _keeping(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        first = tuple(_tokens(part) for part in args[:1])
        named = {name: _tokens(value) if name in STREAMS else value for name, value in options.items()}
        return plain(forward(*first, *args[1:], **named))

    return call


def _tokens(value: Any) -> Any:
    return tuple(Tokens(part) for part in value) if isinstance(value, (tuple, list)) else Tokens(value)


def _plain_inputs(_module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return plain(args), plain(options)


class Tokens:
    """A tensor for whoever computes with it, only that what changes it in place makes a new one, which it then is."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    @classmethod
    def __torch_function__(cls, function: Any, _types: Any, args: Any = (), options: Any = None) -> Any:
        return function(*plain(args), **plain(options or {}))

    def __getattr__(self, name: str) -> Any:
        """Of the tensor; a method such as ``add_`` is ``add``, and its result takes the tensor's place."""
        if not name.endswith("_") or name.startswith("_"):
            return getattr(self.value, name)
        return lambda *args, **options: self._become(getattr(self.value, name[:-1])(*plain(args), **plain(options)))

    def _become(self, value: Tensor) -> Tokens:
        self.value = value
        return self


def plain(value: Any) -> Any:
    """The same with tensors in place of ``Tokens``, in lists, tuples and dicts, too."""
    if isinstance(value, Tokens):
        return value.value
    if type(value) in (list, tuple):
        return type(value)(plain(part) for part in value)
    return {name: plain(part) for name, part in value.items()} if type(value) is dict else value


def _operator(name: str) -> Callable[..., Any]:
    return lambda self, *others: getattr(self.value, f"__{name}__")(*plain(others))


def _in_place_operator(name: str) -> Callable[..., Any]:
    return lambda self, other: self._become(getattr(self.value, f"__{name[1:]}__")(plain(other)))


for _name in OPERATORS:
    setattr(Tokens, f"__{_name}__", _operator(_name))
for _name in IN_PLACE_OPERATORS:
    setattr(Tokens, f"__{_name}__", _in_place_operator(_name))
