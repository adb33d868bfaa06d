"""One LoRA layer as several and back, exactly: a host's fused projection is several layers of diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True)
class LoraLayer:
    """What a LoRA adds to one layer: ``(alpha / rank) up down``, alpha being the rank where there is none."""

    up: Tensor  # [out, rank], or [out, rank, 1, ...] of a convolution
    down: Tensor  # [rank, in, ...]
    alpha: Tensor | None = None  # one number, of any type and shape

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def scale(self) -> Fraction:
        """``alpha / rank``, exactly; 1 without an alpha."""
        return Fraction(1) if self.alpha is None else Fraction(self.alpha.item()) / self.rank


def split_layer(layer: LoraLayer, widths: Sequence[int], ranks: Sequence[int] | None = None) -> list[LoraLayer | None]:
    """The parts of a fused layer, whose rows lie one after the other in it.

    With ``up = [U1; U2; U3]`` part i is ``(Ui, down)``: the product's rows are the part's own. Where ``up`` is
    block-diagonal, as ``join_parts`` makes it, part i is its block with the block's rows of ``down``, and a part
    without a block is None.

    Args:
        layer: ``up [sum(widths) in, r]``, ``down [r, in]``.
        widths: rows of each part, in units of ``in``.
        ranks: of each part, where they are known; else they are told from the zeros.

    Raises:
        ValueError: the layer has another number of rows.
    """
    sizes = [width * layer.down.shape[1] for width in widths]
    if layer.up.ndim != 2 or layer.up.shape[0] != sum(sizes):
        raise ValueError(
            f"a fused layer of {sum(sizes)} rows is needed, this one is {list(layer.up.shape)}; "
            "the LoRA was made for another model"
        )
    rows = layer.up.split(sizes)
    if ranks is None or not _has_blocks(rows, ranks):
        ranks = block_ranks(layer.up, sizes)
    shared = [LoraLayer(part.clone(), layer.down.clone(), _copy(layer.alpha)) for part in rows]
    if ranks is None:
        return [*shared]
    parts = _blocks(layer, rows, ranks)
    return [*shared] if is_shared(parts) else parts


def join_parts(parts: Sequence[LoraLayer | None], widths: Sequence[int]) -> LoraLayer:
    """The fused layer of its parts, at least one of which is there.

    Parts with one ``down`` stay at their rank: ``up = [U1; U2; U3]``. Others become the blocks of
    ``up = diag(U1, U2, U3)`` over ``down = [D1; D2; D3]``, of the sum of their ranks; a missing part has zero rows.

    Raises:
        ValueError: the parts differ in type or scale, or are not of one layer.
    """
    given = [part for part in parts if part is not None]
    first = given[0]
    sizes = [width * first.down.shape[1] for width in widths]
    for part, size in zip(parts, sizes, strict=True):
        if part is not None and (part.up.shape[0] != size or part.down.shape[1:] != first.down.shape[1:]):
            raise ValueError(
                f"parts of one layer must be {size} x {first.down.shape[1]}, one is {part.up.shape[0]} x "
                f"{part.down.shape[1]}; the LoRA was made for another model"
            )
    if len({part.down.dtype for part in given} | {part.up.dtype for part in given}) > 1:
        raise ValueError("parts of one layer have different types and cannot be joined exactly; save them in one type")
    if is_shared(parts):
        return LoraLayer(torch.cat([part.up for part in given]), first.down.clone(), _copy(first.alpha))
    if len({part.scale for part in given}) > 1:
        raise ValueError(
            "parts of one layer have different alpha / rank and cannot be joined exactly; give them one, or use the "
            "LoRA in diffusers"
        )
    down = torch.cat([part.down for part in given])
    up = torch.block_diag(*[_rows(part, size, first) for part, size in zip(parts, sizes, strict=True)])
    return LoraLayer(up, down, _scaled(first, len(down)))


def is_shared(parts: Sequence[LoraLayer | None]) -> bool:
    """Whether all parts are there and have the same ``down`` and alpha, bit for bit."""
    first = parts[0]
    return first is not None and all(
        part is not None and same_bits(part.down, first.down) and same_bits(part.alpha, first.alpha) for part in parts
    )


def block_ranks(up: Tensor, sizes: Sequence[int]) -> list[int] | None:
    """Columns that belong to each part of a block-diagonal ``up``, or None where it is not, or zeros hide it."""
    owners = torch.stack([_nonzero(rows).any(0) for rows in up.split(list(sizes))])
    if not bool((owners.sum(0) == 1).all()):
        return None
    owner = owners.int().argmax(0)
    if bool((owner.diff() < 0).any()):
        return None
    return [int((owner == i).sum()) for i in range(len(sizes))]


def same_bits(first: Tensor | None, second: Tensor | None) -> bool:
    """Whether two tensors are equal in type, shape and every bit; so is nothing and nothing."""
    if first is None or second is None:
        return first is second
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and torch.equal(*(tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (first, second)))
    )


def number_like(value: Fraction, like: Tensor) -> Tensor:
    """A number in the type and shape of another where it can be held exactly, else in 64 bits."""
    number = torch.full_like(like, float(value))
    return number if Fraction(number.item()) == value else number.double().fill_(float(value))


def _has_blocks(rows: Sequence[Tensor], ranks: Sequence[int]) -> bool:
    """Whether the ranks are those of this layer: nothing lies outside their blocks."""
    if len(ranks) != len(rows) or sum(ranks) != rows[0].shape[1]:
        return False
    starts = [sum(ranks[:i]) for i in range(len(ranks))]
    return not any(
        bool(_nonzero(torch.cat([part[:, :start], part[:, start + rank :]], 1)).any())
        for part, start, rank in zip(rows, starts, ranks, strict=True)
    )


def _blocks(layer: LoraLayer, rows: Sequence[Tensor], ranks: Sequence[int]) -> list[LoraLayer | None]:
    found: list[LoraLayer | None] = []
    start = 0
    for part, rank in zip(rows, ranks, strict=True):
        block = LoraLayer(part[:, start : start + rank].clone(), layer.down[start : start + rank].clone())
        found.append(LoraLayer(block.up, block.down, _scaled(layer, rank)) if rank else None)
        start += rank
    return found


def _rows(part: LoraLayer | None, size: int, like: LoraLayer) -> Tensor:
    return like.up.new_zeros(size, 0) if part is None else part.up


def _scaled(layer: LoraLayer, rank: int) -> Tensor | None:
    """The alpha that gives another rank the layer's scale."""
    return None if layer.alpha is None else number_like(layer.scale * rank, layer.alpha)


def _nonzero(values: Tensor) -> Tensor:
    """Where any bit is set, that of a negative zero too; by element."""
    raw = values.contiguous().view(torch.uint8).reshape(*values.shape, values.element_size())
    return (raw != 0).any(-1)


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()
