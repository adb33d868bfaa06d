"""Tensors made small without losing a number, and made whole again.

An encoder that computes in 16 bits gives numbers that 16 bits hold, and text encoders fill captions up with rows of
zeros (umT5 to 512 of 4096 numbers). Both are found in the tensors themselves and put back when they are read, so that
no network sees a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NARROW = (torch.bfloat16, torch.float16)

Form = Mapping[str, tuple[str, int]]  # of each tensor that was changed: its type, and its rows
Shapes = dict[str, torch.Size]


@dataclass(frozen=True)
class Compact:
    """Named tensors in 16 bits where that is exact, matrices without rows of zeros at their end."""

    tensors: Mapping[str, Tensor]
    form: Form

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Compact:
        """Make tensors small; those that stay as they are are not copied."""
        small: dict[str, Tensor] = {}
        form: dict[str, tuple[str, int]] = {}
        for name, tensor in tensors.items():
            found = _narrowed(_trimmed(tensor))
            if found.dtype != tensor.dtype or found.shape != tensor.shape:
                form[name] = (str(tensor.dtype).removeprefix("torch."), len(tensor))
            small[name] = found.contiguous()
        return cls(small, form)

    def whole(self, *names: str) -> dict[str, Tensor]:
        """The tensors of these names, or all, as they were; a zero's sign is not kept."""
        whole = {name: self.tensors[name] for name in names or self.tensors}
        for name, (dtype, rows) in self.form.items():
            if name in whole:
                tensor = whole[name].to(getattr(torch, dtype))
                whole[name] = F.pad(tensor, (0, 0, 0, rows - len(tensor))) if rows != len(tensor) else tensor
        return whole

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    @property
    def shapes(self) -> Shapes:
        """The shapes of the whole tensors."""
        return whole_shapes({name: tensor.shape for name, tensor in self.tensors.items()}, self.form)


def whole_shapes(shapes: Mapping[str, torch.Size], form: Form) -> Shapes:
    """The shapes that tensors had before they were made small."""
    return {
        name: torch.Size((form[name][1], *shape[1:])) if name in form else torch.Size(shape)
        for name, shape in shapes.items()
    }


def _trimmed(tensor: Tensor) -> Tensor:
    if tensor.ndim != 2 or not tensor.is_floating_point():
        return tensor
    used = tensor.ne(0).any(1).nonzero()
    return tensor[: int(used.max()) + 1 if len(used) else min(1, len(tensor))]


def _narrowed(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.float32 and tensor.ndim:
        for dtype in NARROW:
            narrow = tensor.to(dtype)
            if torch.equal(narrow.float(), tensor):
                return narrow
    return tensor
