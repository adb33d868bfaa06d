"""Items that are read when they are asked for, and what stays of them in memory."""

from __future__ import annotations

import pytest
import torch

from pack.training.storage.compact import Compact
from pack.training.storage.lazy import Kept, Lazy, mapped, shapes_of


def items(reads: list[int], count: int = 5) -> Lazy[torch.Tensor]:
    def read(i: int) -> torch.Tensor:
        reads.append(i)
        return torch.full((2,), float(i))

    return Lazy(count, read, [torch.Size((2,))] * count)


def test_an_item_is_read_at_each_access_and_its_shape_without_one():
    reads: list[int] = []
    found = items(reads)
    assert shapes_of(found) == [*shapes_of(found[1:]), torch.Size((2,))] == [torch.Size((2,))] * 5
    assert len(found) == 5
    assert not reads
    assert float(found[-1][0]) == 4
    assert [float(item[0]) for item in found[1:4:2]] == [1, 3]
    assert reads == [4, 1, 3]
    assert [float(item[0]) for item in found] == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        found[5]


def test_changed_items_are_as_lazy():
    reads: list[int] = []
    halves = mapped(items(reads), lambda item: item[:1] / 2, [torch.Size((1,))] * 5)
    assert shapes_of(halves) == [torch.Size((1,))] * 5
    assert not reads
    assert halves[3].tolist() == [1.5]
    assert shapes_of(mapped([torch.zeros(3)], lambda item: item[1:])) == [torch.Size((2,))]  # read, where unknown


def test_what_is_kept_stays_within_its_room():
    kept = Kept(room=3 * 400)
    for i in range(6):
        assert kept.full == (i >= 4)
        kept.put(str(i), Compact({"x": torch.zeros(100)}, {}))
        kept.put("0", Compact({"x": torch.zeros(100)}, {}))
    assert kept.used == 3 * 400
    assert [key for key in "012345" if kept.get(key) is not None] == ["0", "1", "2"]
    assert Kept(room=0).full
