"""Which weights lie on a card beside a step, and what is tried after memory ran out."""

from __future__ import annotations

import math

import pytest

from pack.training.core.placement import (
    BLOCKS,
    KEEP_ATTENTION,
    OFF,
    OFFLOADED,
    Way,
    Weights,
    computed_again,
    first_way,
    leaner_way,
    most_kept,
    step_keeping,
)

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


@pytest.mark.parametrize(
    ("free", "way"),
    [
        (66.0, Way(OFF, 26.0)),
        (65.9, Way(KEEP_ATTENTION, 26.0, 9)),
        (44.0, Way(KEEP_ATTENTION, 26.0)),
        (43.0, Way(BLOCKS, 26.0, 2)),
        (36.0, Way(BLOCKS, 26.0)),
        (35.9, Way(BLOCKS, 25.4)),
    ],
)
def test_what_is_free_beside_all_weights_goes_to_blocks_that_keep_everything(free, way):
    found = first_way(STEPS, WEIGHTS, free, depth=10)
    assert found is not None
    assert (found.checkpointing, found.kept) == (way.checkpointing, way.kept)
    assert found.most == pytest.approx(way.most)


@pytest.mark.parametrize("room", [9.0, 10.0, 12.9, 13.0, 25.0, 39.9, 40.0, 50.0])
def test_the_line_gives_the_most_blocks_that_fit(room):
    kept = most_kept(STEPS, BLOCKS, 10, room)
    fitting = [count for count in range(1, 10) if step_keeping(STEPS, BLOCKS, count, 10) <= room]
    assert kept == (0 if room >= STEPS[OFF] else max(fitting, default=0))


def test_what_was_counted_has_the_last_word():
    asked: list[int] = []

    def counted(kept: int) -> float:  # the last blocks keep more than the first
        asked.append(kept)
        return 10.0 + 30.0 * (1 - (1 - kept / 10) ** 2)

    kept = most_kept(STEPS, BLOCKS, 10, 25.0, counted)
    assert counted(kept) <= 25.0 < counted(kept + 1)
    assert asked[0] == 5
    assert most_kept(STEPS, BLOCKS, 10, 25.0, lambda _kept: 30.0) == 0


@pytest.mark.parametrize("mode", [OFF, OFFLOADED])
def test_only_blocks_beside_others_that_are_computed_again_are_kept(mode):
    assert most_kept(STEPS, mode, 10, 39.0) == 0
    assert most_kept({BLOCKS: 10.0}, BLOCKS, 10, 39.0) == 0  # it is not known what they keep
    assert most_kept({OFF: 12.0, BLOCKS: 12.0}, BLOCKS, 10, 12.0) == 0  # neither could be counted


def test_the_words_say_how_many_blocks_are_computed_again():
    words = {mode: computed_again(mode, 10, 30) for mode in (KEEP_ATTENTION, BLOCKS, OFFLOADED)}
    assert words == {
        KEEP_ATTENTION: "keep attention in 20 of 30 blocks",
        BLOCKS: "20 of 30 blocks",
        OFFLOADED: "20 of 30 blocks, offloaded",
    }
    assert [computed_again(mode, 0, 30) for mode in words] == list(words)


def test_after_memory_ran_out_no_block_keeps_everything():
    assert leaner_way(Way(KEEP_ATTENTION, 26.0, 5), 26.0, 0.0, True) == Way(KEEP_ATTENTION, 26.0)
    assert leaner_way(Way(BLOCKS, kept=5), 26.0, 0.0, False) == Way(BLOCKS)


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
