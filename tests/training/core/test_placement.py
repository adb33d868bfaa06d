"""Which weights lie on a card beside a step, and what is tried after memory ran out."""

from __future__ import annotations

import math

import pytest

from pack.training.core.placement import BLOCKS, KEEP_ATTENTION, OFF, OFFLOADED, Way, Weights, first_way, leaner_way

WEIGHTS = Weights(26.0, 0.5)


@pytest.mark.parametrize(
    ("free", "resident"), [(40.0, 26.0), (36.0, 26.0), (35.9, 25.4), (24.0, 13.5), (10.5, 0.0), (10.4, None)]
)
def test_as_much_as_leaves_room_for_the_step_stays_on_the_card(free, resident):
    assert WEIGHTS.resident(10.0, free) == (resident if resident is None else pytest.approx(resident))


def test_where_weights_cannot_be_lent_all_of_them_must_fit():
    assert Weights(26.0).resident(10.0, 36.0) == 26.0
    assert Weights(26.0).resident(10.0, 35.9) is None


STEPS = {OFF: 40.0, KEEP_ATTENTION: 18.0, BLOCKS: 10.0, OFFLOADED: 6.0}


@pytest.mark.parametrize(
    ("free", "way"),
    [
        (80.0, Way(OFF, 26.0)),
        (48.0, Way(KEEP_ATTENTION, 26.0)),
        (43.0, Way(BLOCKS, 26.0)),
        (24.0, Way(BLOCKS, 13.5)),
        (10.5, Way(BLOCKS, 0.0)),
        (10.0, Way(OFFLOADED, 3.5)),
        (6.4, None),
    ],
)
def test_blocks_are_computed_again_before_weights_are_lent_and_offloaded_last(free, way):
    assert first_way(STEPS, WEIGHTS, free) == way


def test_the_asked_way_is_the_first():
    assert first_way({BLOCKS: 10.0, OFFLOADED: 6.0}, WEIGHTS, 80.0) == Way(BLOCKS, 26.0)
    assert first_way({OFFLOADED: 6.0}, WEIGHTS, 80.0) == Way(OFFLOADED, 26.0)


def test_a_step_that_kept_its_attention_is_computed_again_whole():
    assert leaner_way(Way(KEEP_ATTENTION), 26.0, 0.0, True) == Way(BLOCKS)


def test_after_memory_ran_out_what_helps_is_changed_until_nothing_is_left():
    way, resident, ways = Way(OFF), 26.0, []
    while (way := leaner_way(way, resident, 26.0 - resident, True)) is not None:
        resident = min(resident, way.most)
        ways.append(way)
    assert ways == [
        Way(BLOCKS),
        Way(BLOCKS, 13.0),
        Way(BLOCKS, 6.5),
        Way(BLOCKS, 0.0),
        Way(OFFLOADED, 0.0),
    ]


def test_where_weights_cannot_be_lent_only_checkpointing_is_left():
    assert leaner_way(Way(OFF), 26.0, 0.0, False) == Way(BLOCKS)
    assert leaner_way(Way(BLOCKS), 26.0, 0.0, False) == Way(OFFLOADED, math.inf)
    assert leaner_way(Way(OFFLOADED), 26.0, 0.0, False) is None
