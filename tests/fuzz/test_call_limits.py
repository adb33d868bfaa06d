"""How the fuzzer measures what a call takes."""

from __future__ import annotations

import pytest
import torch
from call_limits import BYTES, REFS, SECONDS, Memory, bounded_memory, seconds_allowed

MB = 1_000_000
linux = pytest.mark.skipif(not REFS.exists(), reason="Linux alone can forget an earlier peak")


def _take(size: int) -> None:
    torch.ones(size, dtype=torch.uint8)


@linux
def test_memory_is_seen_also_after_an_earlier_peak():
    _take(400 * MB)
    memory = Memory()
    _take(100 * MB)
    assert 80 * MB < memory.used() < 300 * MB


@linux
def test_what_asks_for_several_times_the_bound_fails_by_name():
    with bounded_memory(), pytest.raises(RuntimeError, match="alloc"):
        torch.empty(int(10 * BYTES), dtype=torch.uint8)


def test_no_machine_gets_less_time_than_the_one_it_was_chosen_on():
    assert seconds_allowed() >= SECONDS
