"""One LoRA layer as several and back: the product is the same, and so is every bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pack.training.lora.fused import LoraLayer, block_ranks, join_parts, number_like, same_bits, split_layer

WIDTHS = (1, 1, 1, 4)
IN = 6


def part(width: int = 1, rank: int = 2, seed: int = 0, alpha: float | None = None, dtype=torch.float32) -> LoraLayer:
    generator = torch.Generator().manual_seed(seed)
    up = torch.randn(width * IN, rank, generator=generator).to(dtype)
    down = torch.randn(rank, IN, generator=generator).to(dtype)
    return LoraLayer(up, down, None if alpha is None else torch.tensor(alpha))


def parts(alphas=(None,) * 4, ranks=(2, 2, 2, 2)) -> list[LoraLayer]:
    given = zip(WIDTHS, ranks, alphas, strict=True)
    return [part(width, rank, i, alpha) for i, (width, rank, alpha) in enumerate(given)]


def product(layer: LoraLayer) -> Tensor:
    return float(layer.scale) * layer.up.double() @ layer.down.double()


def same(first: LoraLayer | None, second: LoraLayer | None) -> bool:
    if first is None or second is None:
        return first is second
    pairs = ((first.up, second.up), (first.down, second.down), (first.alpha, second.alpha))
    return all(same_bits(one, other) for one, other in pairs)


def test_a_split_layer_adds_the_same_rows_at_its_own_rank():
    layer = part(sum(WIDTHS), rank=3, alpha=2.0)
    split = split_layer(layer, WIDTHS)
    assert all(found is not None and found.rank == 3 for found in split)
    assert torch.equal(torch.cat([product(found) for found in split if found]), product(layer))
    assert len({found.down.data_ptr() for found in split if found}) == len(WIDTHS)  # safetensors wants each alone


def test_a_split_layer_joins_to_the_very_same_tensors():
    layer = part(sum(WIDTHS), rank=3, alpha=2.0)
    assert same(join_parts(split_layer(layer, WIDTHS), WIDTHS), layer)


@pytest.mark.parametrize("ranks", [(2, 2, 2, 2), (1, 4, 2, 3)])
def test_parts_of_their_own_join_to_blocks_and_come_back(ranks):
    given = parts([rank * 0.5 for rank in ranks], ranks)
    joined = join_parts(given, WIDTHS)
    assert joined.rank == sum(ranks)
    torch.testing.assert_close(product(joined), torch.cat([product(found) for found in given]))
    assert all(map(same, split_layer(joined, WIDTHS), given))


@pytest.mark.parametrize("missing", [{0}, {3}, {1, 2}, {0, 1, 3}])
def test_missing_parts_have_zero_rows_and_stay_missing(missing):
    given = [None if i in missing else found for i, found in enumerate(parts((1.0,) * 4))]
    joined = join_parts(given, WIDTHS)
    rows = joined.up.split([width * IN for width in WIDTHS])
    assert all(not rows[i].any() for i in missing)
    assert joined.up.shape[0] == sum(WIDTHS) * IN
    assert all(map(same, split_layer(joined, WIDTHS), given))


def test_ranks_that_zeros_hide_can_be_told():
    given = [LoraLayer(torch.zeros_like(found.up), found.down) for found in parts()]
    joined = join_parts(given, WIDTHS)
    assert block_ranks(joined.up, [width * IN for width in WIDTHS]) is None
    assert all(map(same, split_layer(joined, WIDTHS, [2, 2, 2, 2]), given))


def test_ranks_that_do_not_fit_the_layer_are_not_believed():
    layer = part(sum(WIDTHS), rank=3)
    for ranks in ([1, 1, 1, 0], [1, 1, 1], [3, 3, 3, 3]):
        assert same(join_parts(split_layer(layer, WIDTHS, ranks), WIDTHS), layer)


def test_a_negative_zero_is_no_empty_place():
    given = parts()
    joined = join_parts(given, WIDTHS)
    joined.up[0, -1] = -0.0
    assert same(join_parts(split_layer(joined, WIDTHS), WIDTHS), joined)


def test_parts_of_different_scale_or_type_are_not_joined():
    with pytest.raises(ValueError, match=r"different alpha / rank and cannot be joined exactly; give them one"):
        join_parts(parts((1.0, 2.0, 1.0, 1.0)), WIDTHS)
    with pytest.raises(ValueError, match=r"different types and cannot be joined exactly; save them in one type"):
        join_parts([*parts()[:3], part(4, dtype=torch.bfloat16)], WIDTHS)


def test_parts_and_layers_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"must be 24 x 6, one is 18 x 6; the LoRA was made for another model"):
        join_parts([*parts()[:3], part(3)], WIDTHS)
    with pytest.raises(ValueError, match=r"layer of 42 rows is needed, this one is \[36, 2\]; the LoRA was made"):
        split_layer(part(6), WIDTHS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_number_that_does_not_fit_its_type_gets_64_bits(dtype):
    from fractions import Fraction

    like = torch.zeros(1, dtype=dtype)
    assert number_like(Fraction(3, 2), like).dtype == dtype
    wide = number_like(Fraction(0.1), like)
    assert (wide.dtype, wide.shape, wide.item()) == (torch.float64, like.shape, 0.1)
