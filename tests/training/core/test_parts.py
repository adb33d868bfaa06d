"""Which parts of a step and of a validation a process takes, whether the base is split or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from pack.training.core.config import TrainConfig
from pack.training.core.step import _own_parts, clips_at_once
from pack.training.distributed.exchange import agree, agreed, shared_values
from pack.training.distributed.processes import FAILED, MEMORY, PeerFailedError, Processes, among


class One(Processes):
    """A process of several that hears nothing of the others but what the test says."""

    def __init__(
        self, rank: int, count: int, splits: bool = False, heard: Sequence[float] = (), signal: int | None = None
    ) -> None:
        super().__init__()
        self.rank, self.count, self.splits, self.heard, self.signal = rank, count, splits, heard, signal
        self.told: list[bool] = []

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        self.told = list(flags)
        return [flag or signal == self.signal for signal, flag in enumerate(flags)]

    def add_up(self, flat: Tensor) -> None:
        if self.heard:
            flat += torch.tensor(self.heard)


@contextmanager
def counted() -> Iterator[tuple[list[int], Any]]:
    """Which values were asked for, and a function of them."""
    asked: list[int] = []

    def value(i: int) -> Tensor:
        asked.append(i)
        return torch.tensor(float(i + 1))

    yield asked, value


@pytest.mark.parametrize(("clips", "accumulation", "count"), [(3, 3, 2), (1, 4, 3), (1, 1, 2), (2, 1, 4), (4, 2, 4)])
def test_parts_of_all_processes_are_the_step_and_a_split_base_is_called_equally_often(clips, accumulation, count):
    taken, calls = [], set()
    for rank in range(count):
        plain = _own_parts(One(rank, count), clips, accumulation)
        split = _own_parts(One(rank, count, splits=True), clips, accumulation)
        assert split[: len(plain)] == plain
        assert all(not counts and list(rows) == [0] for _, rows, counts in split[len(plain) :])
        assert all(counts for _, _, counts in plain)
        taken += [micro * clips + row for micro, rows, _ in plain for row in rows]
        calls.add(len(split))
    assert taken == list(range(clips * accumulation))
    assert len(calls) == 1


@pytest.mark.parametrize(("accumulation", "count", "clips"), [(2, 2, [2, 2]), (1, 2, [1, 1]), (1, 3, [0, 1, 1])])
def test_a_process_knows_how_many_clips_it_computes_at_once(accumulation, count, clips):
    config, found = TrainConfig(batch_size=2, accumulation=accumulation), []
    assert clips_at_once(config) == 2
    for rank in range(count):
        with among(One(rank, count)):
            found.append(clips_at_once(config))
    assert sorted(found) == clips


@pytest.mark.parametrize("splits", [False, True])
def test_a_validation_is_computed_in_parts_and_added_up(splits):
    with counted() as (asked, value):
        found = shared_values(One(1, 2, splits, heard=[1.0, 2.0, 0.0, 0.0, 0.0]), 5, value, "cpu")
    assert asked == [2, 3, 4]
    assert found == [1.0, 2.0, 3.0, 4.0, 5.0]
    with counted() as (asked, value):
        shared_values(One(0, 2, splits), 5, value, "cpu")
    assert asked == [0, 1, *([0] if splits else [])]  # as often as the other


@pytest.mark.parametrize(
    ("signal", "kind", "text"),
    [(FAILED, PeerFailedError, "another process of the run has failed"), (MEMORY, MemoryError, "is out of memory")],
)
def test_a_validation_that_fails_elsewhere_ends_this_process_too(signal, kind, text):
    with counted() as (_, value), pytest.raises(kind, match=text):
        shared_values(One(0, 2, signal=signal), 2, value, "cpu")


@pytest.mark.parametrize(
    ("error", "signal"),
    [(ValueError("broken"), FAILED), (RuntimeError("DefaultCPUAllocator: not enough memory"), MEMORY)],
)
def test_a_validation_that_fails_here_is_told_before_it_is_raised(error, signal):
    group = One(0, 2)

    def value(_: int) -> Tensor:
        raise error

    with pytest.raises(type(error), match=str(error)):
        shared_values(group, 2, value, "cpu")
    assert [name for name, flag in enumerate(group.told) if flag] == [signal]
    assert group.apart


def test_what_one_process_does_by_itself_is_told_once_and_not_where_nobody_waits():
    group = One(0, 2)
    with pytest.raises(ValueError, match="broken"), agreed(group):
        raise ValueError("broken")
    assert not group.told  # no run goes on
    agree(group)
    with pytest.raises(ValueError, match="broken"), agreed(group):
        raise ValueError("broken")
    assert group.told[FAILED]
    group.told = []
    with pytest.raises(ValueError, match="broken"), agreed(group):
        raise ValueError("broken")
    assert not group.told  # the others have ended
