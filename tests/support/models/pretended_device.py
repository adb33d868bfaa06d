"""A CUDA device that is not there: tensors that say they lie on it, hold numbers, and refuse to be mixed with others.

Each operation runs twice: on torch's fake tensors, which know what a device accepts and where a result lies, and on the
CPU for its numbers. So code that steps by numbers takes its true way, and a tensor left behind on the CPU is an error,
as it is on a card. So is float64 that the pack's own code brings there, as Apple's devices have none; what the host
does is its own business, which asks for the device. What the pack's own code copies there from the CPU is counted in
``COPIES``: on a card each copy waits for what was asked of it before. Backward passes are beyond it: autograd wants a
true device for its streams.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

CARD = torch.device("cuda", 0)
FREE = 10**12  # bytes of it
ROOT = Path(__file__).resolve().parents[3]
OURS = tuple(str(ROOT / room) for room in ("methods", "nodes", "training", "toy"))
BETWEEN = (__file__, str(Path(torch.__file__).parent))  # frames that only hand on what was called
aten = torch.ops.aten
COPIES: Counter[str] = Counter()  # by file and line, of the pretence under way
BY_NUMBERS = (aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default, aten.item.default)


class OnCard(Tensor):
    """A tensor that says it lies on the card; ``numbers`` lie on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnCard:
        made = Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype, device=CARD,
        )  # fmt: skip
        made.numbers = numbers
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnCard({self.numbers!r})"

    def tolist(self) -> Any:
        """As a card's tensor gives its numbers; torch asks subclasses for no numbers itself."""
        return self.numbers.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class _Pretence(TorchDispatchMode):
    """Also hears of what is made on the card or brought to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: Any) -> Any:
    """The result of an operation on tensors of card and CPU; a RuntimeError where a card would refuse them."""
    if func is aten._fused_sdp_choice.default:
        return 0  # plain mathematics: the other kernels are those of a true device
    place = _place(func, args, kwargs)
    given = _tensors(args, kwargs)
    if place == "cuda":
        _count_copy(func, given)
    known = {id(one.numbers): one for one in given if isinstance(one, OnCard)}
    plain = {id(one) for one in given}

    def labelled(result: Tensor) -> Tensor:
        if place == "cuda" and result.dtype == torch.float64 and _is_ours():
            raise RuntimeError("the pack brings float64 to the device, which Apple's have not")
        if place == "cuda":  # to and from the card is a copy, which it was not on the CPU
            again = known.get(id(result))
            return OnCard(result.clone() if id(result) in plain else result) if again is None else again
        return result.clone() if id(result) in known else result

    return tree_map_only(Tensor, labelled, func(*_on_cpu(args), **_on_cpu(kwargs)))


def _count_copy(func: Any, given: list[Tensor]) -> None:
    """Note it where the pack's own code brings a tensor from the CPU, or an index that is a list."""
    on_cpu = [one for one in given if one.device.type == "cpu"]
    index = func is aten.index.Tensor and any(one.ndim for one in on_cpu)
    line = _own_line() if index or (on_cpu and len(on_cpu) == len(given)) else None
    if line is not None:
        COPIES[line] += 1


def _is_ours() -> bool:
    """Whether the pack's own code has called the operation."""
    return _own_line() is not None


def _own_line() -> str | None:
    """Where the pack's own code has called the operation; None where somebody else has."""
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(BETWEEN):
        frame = frame.f_back
    if frame is None or not frame.f_code.co_filename.startswith(OURS):
        return None
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


_places: dict[Any, str] = {}


def _place(func: Any, args: Any, kwargs: Any) -> str:
    """Where the results of an operation lie; asked of torch's fake tensors once for all tensors of the same places."""
    if func in BY_NUMBERS:
        return "cpu"
    parts = [part for part in tree_leaves((args, kwargs)) if isinstance(part, (Tensor, torch.device))]
    key = (func, *((str(part.device), part.ndim) if isinstance(part, Tensor) else str(part) for part in parts))
    if key not in _places:
        _places[key] = _asked(func, args, kwargs)
    return _places[key]


def _asked(func: Any, args: Any, kwargs: Any) -> str:
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(tensor: Tensor) -> Tensor:
        numbers = tensor.numbers if isinstance(tensor, OnCard) else tensor
        empty = torch.empty_strided(numbers.shape, numbers.stride(), dtype=numbers.dtype, device="meta")
        return FakeTensor(mode, empty, tensor.device)

    with mode:
        results = func(*tree_map_only(Tensor, fake, args), **tree_map_only(Tensor, fake, kwargs))
    return next((one.device.type for one in _tensors(results)), "cpu")


def _tensors(*values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    tree_map_only(Tensor, found.append, values)
    return found


def _on_cpu(values: Any) -> Any:
    def moved(value: Any) -> Any:
        if isinstance(value, OnCard):
            return value.numbers
        return torch.device("cpu") if isinstance(value, torch.device) else value

    return tree_map(moved, values)


@contextmanager
def pretended_cuda(patch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Let the body make tensors on the card."""
    # What needs a driver: torch looks for one before it asks any mode.
    for name in ("_lazy_init", "synchronize", "manual_seed", "empty_cache", "ipc_collect"):
        patch.setattr(torch.cuda, name, lambda *_args: None)
    patch.setattr(torch.cuda, "set_device", lambda _device: None)
    patch.setattr(torch.cuda, "current_device", lambda: CARD.index)
    patch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a weight cannot become one of these in place
    COPIES.clear()
    torch._C._set_only_lift_cpu_tensors(True)  # as for torch's fake tensors: ``torch.tensor`` brings its own there
    try:
        with _Pretence():
            yield CARD
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(before)


@contextmanager
def pretended_host(patch: pytest.MonkeyPatch, *models: Any) -> Iterator[torch.device]:
    """The same with these MODELs, which nothing else uses, and what is made of them, loaded onto the card."""
    import comfy.model_management as management

    def loaded(models: Any, *_args: Any, **_options: Any) -> None:
        for one in models:
            one.load_device = CARD
            one.patch_model(CARD)

    patch.setattr(management, "load_models_gpu", loaded)
    patch.setattr(management, "get_free_memory", lambda _device=None, both=False: (FREE, FREE) if both else FREE)
    patch.setattr(management, "get_torch_device", lambda: CARD)
    for model in models:
        model.load_device = CARD
    with pretended_cuda(patch):
        yield CARD
