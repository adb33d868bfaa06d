"""The plan's arithmetic: what grows with what, what fits, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pack.training.core.config import CHECKPOINTING
from pack.training.core.placement import GIB
from pack.training.core.plan import (
    MARGIN,
    Network,
    ProfiledStep,
    StepShape,
    first_that_fits,
    most_frames,
    plan_rows,
    predict,
    with_kept_blocks,
)
from pack.training.core.plan_report import report

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING
NETWORK = Network(stored=2 * GIB, buffer=GIB / 8, lendable=False, narrow=False, used=10**9, depth=30, width=1024)
ASKED = StepShape(clips=2, frames=13, prefix=4, per_frame=900)


def steps(a_token: float, fixed: float = 0.0, speed: float = 1e12) -> list[ProfiledStep]:
    """Two measured steps of a network that takes so many bytes a token beside the fixed ones."""
    sizes = [replace(ASKED, frames=1), replace(ASKED, frames=2)]
    return [
        ProfiledStep(
            size,
            int(fixed + a_token * size.tokens * size.clips),
            NETWORK.work(size.tokens, size.clips, OFF) / speed,
        )
        for size in sizes
    ]


def test_memory_grows_with_tokens_and_time_with_the_work():
    memory, seconds = predict(steps(1000.0, 500.0), NETWORK, ASKED, OFF)
    assert memory == pytest.approx(MARGIN * (500 + 1000 * 2 * 13 * 900))
    assert seconds == pytest.approx(NETWORK.work(13 * 900, 2, OFF) / 1e12)


def test_attention_makes_the_work_grow_faster_than_the_tokens():
    one, two = (NETWORK.work(tokens, 1, OFF) for tokens in (10**5, 2 * 10**5))
    assert 2.0 < two / one < 4.0
    assert NETWORK.work(10, 4, OFF) == 4 * NETWORK.work(10, 1, OFF)
    assert NETWORK.work(1, 1, OFF) == 2 * 10**9 + 7 * 30 * 1024
    assert NETWORK.work(1, 1, BLOCKS) == NETWORK.work(1, 1, OFFLOADED) == 3 * 10**9 + 9 * 30 * 1024


def test_a_line_that_noise_bends_down_neither_falls_nor_starts_below_zero():
    low, high = steps(1000.0)
    falling = [low, replace(high, memory=low.memory // 2, seconds=low.seconds / 2)]
    assert predict(falling, NETWORK, ASKED, OFF) == (MARGIN * falling[1].memory, falling[1].seconds)
    steep = [replace(low, memory=1), high]
    assert predict(steep, NETWORK, ASKED, OFF)[0] == pytest.approx(MARGIN * high.memory * 13 / 2)


def test_one_size_is_not_enough_to_predict_another():
    low, _ = steps(1.0)
    with pytest.raises(ValueError, match="2 measured steps of 1800 tokens were given; measure two sizes"):
        predict([low, low], NETWORK, ASKED, OFF)


def test_tokens_are_counted_in_patches_of_time():
    assert replace(ASKED, frames=6, time_patch=2).tokens == 3 * 900
    assert replace(ASKED, frames=5, time_patch=2).tokens == 3 * 900


def test_the_first_settings_that_fit_are_chosen_and_marked():
    measured = {OFF: steps(1e6), BLOCKS: steps(1e5), OFFLOADED: steps(1e4)}
    free = 2 * GIB + MARGIN * 1e5 * 2 * 13 * 900 + 1
    rows = plan_rows(measured, NETWORK, ASKED, free)
    assert first_that_fits(rows, free) == rows[1]
    text = report(rows, NETWORK, ASKED, free).splitlines()
    assert text[2].endswith("too large")
    assert text[3].endswith("<- first that fits")
    assert text[4].split()[:3] == ["checkpointing", "blocks,", "offloaded"]
    assert "The settings that come out have checkpointing blocks." in text


def test_a_step_that_was_counted_is_not_extrapolated():
    measured = {OFF: steps(1e6), BLOCKS: steps(1e5)}
    rows = plan_rows(measured, NETWORK, ASKED, 0.0, {OFF: 5.0 * GIB})
    assert rows[0].step == MARGIN * 5 * GIB
    assert rows[1].step == predict(measured[BLOCKS], NETWORK, ASKED, BLOCKS)[0]
    smaller = next(row for row in plan_rows(measured, NETWORK, ASKED, 0.0, {BLOCKS: 2.0 * GIB}) if "batch" in row.name)
    assert smaller.step == pytest.approx(MARGIN * 2 * GIB / 2)


def test_the_report_says_what_lies_on_the_card_and_what_is_lent():
    network = replace(NETWORK, stored=26 * GIB, lendable=True)
    counted = {OFF: 90.0 * GIB, BLOCKS: 10.0 * GIB}
    rows = plan_rows({OFF: steps(1e6), BLOCKS: steps(1e5)}, network, ASKED, 23 * GIB, counted)
    text = report(rows, network, ASKED, 23 * GIB).splitlines()
    assert text[1].split() == ["way", "step", "on", "card", "lent", "total", "s/step"]
    assert text[2].split()[2:6] == ["103.50", "0.00", "26.00", "103.62"]
    assert text[3].split()[2:6] == ["11.50", "11.38", "14.62", "23.00"]
    assert text[3].endswith("<- first that fits")
    assert any("lending weights to the card" in line for line in text)
    cards = [line.strip() for line in text if " GB: " in line]
    assert cards == [
        "8 GB: too small",
        "12 GB: too small",
        "16 GB: checkpointing blocks, 3.4 of 26.0 GiB",
        "24 GB: checkpointing blocks, 11.4 of 26.0 GiB",
        "32 GB: checkpointing blocks, 19.4 of 26.0 GiB",
        "48 GB: checkpointing 27 of 30 blocks, all weights on it",
        "80 GB: checkpointing 17 of 30 blocks, all weights on it",
    ]


def test_blocks_keep_everything_as_far_as_there_is_room():
    measured = {OFF: steps(1e6), KEEP_ATTENTION: steps(2e5), BLOCKS: steps(1e5)}
    off, blocks = (MARGIN * a_token * 2 * 13 * 900 for a_token in (1e6, 1e5))
    network, free = replace(NETWORK, narrow=True), 2 * GIB + blocks + (off - blocks) / 15
    rows = with_kept_blocks(plan_rows(measured, network, replace(ASKED, clips=2), free), network, free)
    assert [row.name for row in rows if row.by_settings] == [
        "checkpointing off", "checkpointing keep attention", "checkpointing 28 of 30 blocks", "checkpointing blocks"
    ]  # fmt: skip
    some = rows[2]
    assert first_that_fits(rows, free) is some
    assert some.step <= free - network.stored < some.step + (off - blocks) / 30
    seconds = {row.name: row.seconds for row in rows}
    between = seconds["checkpointing blocks"] - seconds["checkpointing off"]
    assert some.seconds == pytest.approx(seconds["checkpointing off"] + between * 28 / 30)
    text = report(rows, network, ASKED, free).splitlines()
    assert "The settings that come out have checkpointing 28 of 30 blocks." in text
    (marked,) = [line for line in text if "<- first" in line]
    assert marked.startswith("checkpointing 28 of 30 blocks ")


def test_the_number_of_blocks_is_what_was_counted_and_not_what_the_line_says():
    measured = {OFF: steps(1e6), BLOCKS: steps(1e5)}
    counted, asked = {OFF: 31.0 * GIB, BLOCKS: 1.0 * GIB}, []

    def keeping(mode: str, kept: int) -> float:
        asked.append((mode, kept))
        return (1.0 + 1.5 * kept) * GIB  # more than the line's 1.0 for a block

    free = 2 * GIB + MARGIN * 13.1 * GIB
    rows = with_kept_blocks(plan_rows(measured, NETWORK, ASKED, free, counted), NETWORK, free, keeping)
    assert (rows[1].kept, rows[1].step) == (8, MARGIN * 13 * GIB)
    assert asked[0] == (BLOCKS, 12)
    lent = replace(NETWORK, lendable=True)
    rows = plan_rows(measured, lent, ASKED, 3 * GIB, counted)
    assert with_kept_blocks(rows, lent, 3 * GIB, keeping) == rows  # weights are lent: no room to keep more


def test_where_no_settings_fit_the_plan_says_what_would():
    measured = {OFF: steps(1e6), BLOCKS: steps(1e5)}
    need = MARGIN * 1e5 * 2 * 900  # of one latent
    free = 2 * GIB + need * 10.5
    rows = plan_rows(measured, NETWORK, ASKED, free)
    assert [row.name for row in rows[2:]] == ["and weights in fp8", "and batch_size 1", "and 6 target latents at most"]
    assert not any(row.by_settings for row in rows[2:])
    assert rows[2].fits(need * 13 + GIB + 1)
    assert not rows[2].fits(need * 13 + GIB - 1e6)
    text = report(rows, NETWORK, ASKED, free).splitlines()
    assert "The settings alone do not fit. Use checkpointing blocks and weights in fp8." in text


def test_where_nothing_fits_the_plan_says_so():
    rows = plan_rows({OFF: steps(1e9)}, NETWORK, ASKED, 1.0)
    assert first_that_fits(rows, 1.0) is None
    assert "None of these fits" in report(rows, NETWORK, ASKED, 1.0)


def test_the_longest_sequence_that_fits_keeps_its_condition_and_whole_patches():
    need = MARGIN * 1000.0 * 2 * 900
    assert most_frames(steps(1000.0), NETWORK, ASKED, OFF, need * 100) == ASKED
    assert most_frames(steps(1000.0), NETWORK, ASKED, OFF, need * 7) == replace(ASKED, frames=7)
    assert most_frames(steps(1000.0), NETWORK, ASKED, OFF, need * 4) is None
    patched = replace(ASKED, frames=12, time_patch=2)
    assert most_frames(steps(1000.0), NETWORK, patched, OFF, need * 4) == replace(patched, frames=8)


def test_weights_of_one_byte_are_not_offered_again_and_one_clip_is_not_made_fewer():
    rows = plan_rows({OFF: steps(1e6)}, replace(NETWORK, narrow=True), replace(ASKED, clips=1), 1.0)
    assert [row.name for row in rows] == ["checkpointing off"]
