"""Toy data sets: seeded, split, and laid out as their tasks need them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pack.methods import tic_ft_tasks
from pack.toy import clips, judge, world

KINDS = list(clips.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_clips_and_another_seed_others(kind):
    first, again, other = (clips.make_samples(kind, 3, seed) for seed in (0, 0, 1))
    assert [s.target.key() for s in first] == [s.target.key() for s in again]
    assert [s.caption for s in first] == [s.caption for s in again]
    assert [s.target.key() for s in first] != [s.target.key() for s in other]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "one clip"])
@pytest.mark.parametrize("split", clips.SPLITS)
def test_a_split_holds_only_its_own_combinations(kind, split):
    pool = set(world.combinations(split == "held out"))
    for sample in clips.make_samples(kind, 20, 3, split):
        assert (sample.scene.shape, sample.scene.colour, sample.scene.motion) in pool


def test_no_combination_comes_twice_before_all_have_come():
    samples = clips.make_samples("image to video", 56, 0, "held out")
    assert len({(s.scene.shape, s.scene.colour, s.scene.motion) for s in samples}) == 56


def test_one_clip_shows_a_motion_of_no_pretraining_clip():
    samples = clips.make_samples("one clip", 4, 0)
    assert {s.scene.motion for s in samples} <= set(world.HELD_OUT_MOTIONS)
    assert len({s.scene.motion for s in samples}) == 1


@pytest.mark.parametrize("seed", range(6))
def test_one_clip_shows_the_same_motion_in_both_splits_by_other_objects(seed):
    shown, kept = (clips.make_samples("one clip", 24, seed, split) for split in clips.SPLITS)
    assert {s.scene.motion for s in shown} == {s.scene.motion for s in kept}
    objects = [{(s.scene.shape, s.scene.colour) for s in samples} for samples in (shown, kept)]
    assert objects[0].isdisjoint(objects[1])
    assert all({shape for shape, _ in found} == set(world.SHAPES) for found in objects)
    assert all({colour for _, colour in found} == set(world.COLOURS) for found in objects)


def test_a_reference_shares_the_motion_and_nothing_else():
    for sample in clips.make_samples("same action", 8, 0):
        other = sample.reference.scene
        assert other.motion == sample.scene.motion
        assert other.shape != sample.scene.shape
        assert other.colour != sample.scene.colour
        assert sample.scene.motion not in sample.caption


@pytest.mark.parametrize("kind", KINDS)
def test_targets_pass_the_judge_at_their_place_in_the_scene(kind):
    for sample in clips.make_samples(kind, 4, 5):
        if sample.scene.look == "plain":
            assert judge.judge(sample.target.frames().numpy(), sample.scene, sample.start).all_right == 1


@pytest.mark.parametrize("kind", list(clips.TASK_OF_KIND))
def test_conditions_fill_the_latents_of_their_task(kind):
    task = tic_ft_tasks.TASKS[clips.TASK_OF_KIND[kind]]
    sample = clips.make_samples(kind, 1, 0)[0]
    parts = tic_ft_tasks.arrange(task.name, [c.frames() for c in sample.conditions], task.condition, task.buffer)
    assert sum(1 + (len(part) - 1) // 4 for part in parts) == task.condition + task.buffer
    assert len(sample.target.frames()) % 4 == 0


def test_frames_are_drawn_on_demand_and_torch():
    frames = clips.make_samples("image to video", 1, 0)[0].target.frames()
    assert frames.shape == (36, 64, 64, 3)
    assert frames.dtype == torch.float32


def test_a_blueprint_differs_from_the_plain_look_but_not_in_its_path():
    sample = clips.make_samples("style transfer", 1, 0)[0]
    plain, drawn = sample.conditions[0].frames()[:24].numpy(), sample.target.frames().numpy()
    assert np.abs(plain - drawn).mean() > 0.05
    assert sample.conditions[0].scene.motion == sample.target.scene.motion


@pytest.mark.parametrize(
    ("kind", "count", "split"), [("dance", 1, "training"), ("keyframes", 0, "training"), ("keyframes", 1, "x")]
)
def test_wrong_requests_are_refused_with_the_choices(kind, count, split):
    with pytest.raises(ValueError, match="use a kind of image to video"):
        clips.make_samples(kind, count, 0, split)
