"""Clip order and random numbers are functions of (seed, step)."""

from __future__ import annotations

import pytest
import torch

from pack.training.core.batches import StepGenerators, batch_indices, dropped, seeded_generator


def test_every_epoch_shows_every_clip_once():
    shown = [index for step in range(6) for index in batch_indices(3, step, size=6, batch_size=2)]
    assert sorted(shown[:6]) == list(range(6))
    assert sorted(shown[6:]) == list(range(6))
    assert shown[:6] != shown[6:]


def test_batches_run_across_the_end_of_an_epoch():
    shown = [index for step in range(5) for index in batch_indices(0, step, size=5, batch_size=3)]
    assert all(shown.count(index) == 3 for index in range(5))


def test_the_order_depends_on_the_seed():
    orders = {tuple(batch_indices(seed, 0, size=12, batch_size=12)) for seed in range(4)}
    assert len(orders) == 4


GROUPS = ((0, 3, 4), (1,), (2, 5, 6, 7, 8))
FIRST_STEPS = [[1, 4, 2], [3, 0, 1], [2, 3, 0]]  # of five clips at seed 0, as runs have had them from the start


def grouped(step: int, batch_size: int, groups=GROUPS, seed: int = 3) -> list[int]:
    return batch_indices(seed, step, size=sum(map(len, groups)), batch_size=batch_size, groups=groups)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7])
def test_a_batch_is_of_one_bucket_and_no_clip_is_favoured(batch_size):
    shown, steps = dict.fromkeys(range(9), 0), 0
    for epoch in range(1, 12):
        while min(shown.values()) < epoch:
            clips = grouped(steps, batch_size)
            assert len(clips) == batch_size
            assert sum(set(clips) <= set(group) for group in GROUPS) == 1
            for clip in clips:
                shown[clip] += 1
            steps += 1
        ahead = [sum(shown[clip] for clip in group) - epoch * len(group) for group in GROUPS]
        assert all(0 <= more < batch_size for more in ahead)
        for group in GROUPS:
            counts = [shown[clip] for clip in group]
            assert max(counts) - min(counts) <= 1
    assert steps == sum(-(-11 * len(group) // batch_size) for group in GROUPS)


def test_one_bucket_is_the_order_without_buckets():
    for size, batch_size in ((5, 3), (6, 2), (1, 4)):
        groups = (tuple(range(size)),)
        plain = [batch_indices(3, step, size, batch_size) for step in range(20)]
        assert [grouped(step, batch_size, groups) for step in range(20)] == plain
    assert [batch_indices(0, step, 5, 3) for step in range(3)] == FIRST_STEPS


def test_the_buckets_take_turns_in_a_new_order_every_epoch():
    groups = ((0, 1, 2), (3, 4, 5))
    turns = [tuple(grouped(step, 1, groups)[0] // 3 for step in range(6 * e, 6 * e + 6)) for e in range(6)]
    assert all(sum(turn) == 3 for turn in turns)
    assert len(set(turns)) > 2
    streams = [[clip % 3 for step in range(60) if (clip := grouped(step, 1, groups)[0]) // 3 == b] for b in (0, 1)]
    assert streams[0] != streams[1]  # two buckets of one size are shuffled apart


def test_a_step_far_ahead_is_found_without_the_steps_before_it():
    far = [grouped(step, 4) for step in range(3000, 3020)]
    assert far == [grouped(step, 4) for step in range(3020)][3000:]
    assert len(grouped(10**9, 4)) == 4


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="no clips"):
        batch_indices(0, 0, size=0, batch_size=1)


def test_a_step_has_the_same_noise_whatever_was_drawn_before():
    first = torch.randn(4, generator=StepGenerators.at(7, 30).noise)
    torch.manual_seed(0)
    torch.randn(4, generator=StepGenerators.at(7, 29).noise)
    assert torch.equal(first, torch.randn(4, generator=StepGenerators.at(7, 30).noise))


def test_steps_seeds_and_purposes_have_streams_of_their_own():
    streams = [(0, 0, "noise"), (0, 1, "noise"), (1, 0, "noise"), (0, 0, "sigma")]
    draws = [torch.rand(8, generator=seeded_generator(*stream)) for stream in streams]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])


def test_the_largest_seed_of_the_host_works():
    assert torch.rand(1, generator=seeded_generator(2**64 - 1, 0, "noise")).isfinite().all()


def test_dropout_takes_none_all_or_its_share():
    assert not any(dropped(50, 0.0, seeded_generator(0, 0, "dropout")))
    assert all(dropped(50, 1.0, seeded_generator(0, 0, "dropout")))
    assert sum(dropped(2000, 0.3, seeded_generator(0, 0, "dropout"))) == pytest.approx(600, abs=70)
