"""The toy world is what its captions say, and its judge can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pack.toy import identity, judge, world


def scenes(count, held_out=True, seed=1):
    rng = np.random.default_rng(seed)
    return [world.sample_scene(rng, held_out) for _ in range(count)]


def test_the_world_is_as_large_as_agreed():
    assert len(world.SHAPES) >= 3
    assert len(world.COLOURS) >= 6
    assert len(world.BACKGROUNDS) >= 3
    assert len(world.MOTIONS) >= 6
    assert len(world.HELD_OUT_MOTIONS) >= 2


def test_held_out_combinations_are_disjoint_and_every_pair_of_words_is_shown():
    shown, hidden = set(world.combinations(False)), set(world.combinations(True))
    assert not shown & hidden
    assert len(shown | hidden) == len(world.SHAPES) * len(world.COLOURS) * len(world.MOTIONS)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert {(c[first], c[second]) for c in hidden} <= {(c[first], c[second]) for c in shown}


def test_a_scene_is_drawn_the_same_every_time_and_in_range():
    scene = scenes(1)[0]
    first, second = world.render(scene, 9), world.render(scene, 9)
    assert first.shape == (9, 64, 64, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1


def test_a_shorter_clip_is_the_start_of_a_longer_one():
    scene = scenes(1)[0]
    assert np.array_equal(world.render(scene, 49)[:12], world.render(scene, 12))


@pytest.mark.parametrize("motion", world.MOTIONS + world.HELD_OUT_MOTIONS)
def test_every_motion_keeps_the_object_in_the_picture(motion):
    for shape in world.SHAPES:
        centre, radius = world.Scene(shape, "red", "black", motion).pose(49)
        assert (centre.min(0) - radius.max() > -8).all()
        assert (centre.max(0) + radius.max() < world.SIZE + 8).all()


@pytest.mark.parametrize("frames", [24, 36, 49])
def test_the_judge_finds_nothing_wrong_with_the_truth(frames):
    found = judge.ceiling(scenes(40), frames)
    assert {name: found[name] for name in ("colour", "shape", "background", "motion", "every_frame")} == {
        "colour": 1.0,
        "shape": 1.0,
        "background": 1.0,
        "motion": 1.0,
        "every_frame": 1.0,
    }
    assert found["path_error"] < 0.3


def test_the_judge_gives_little_to_clips_in_another_order():
    found = judge.chance(scenes(40), 49)
    assert found["colour"] < 0.4
    assert found["shape"] < 0.6
    assert found["motion"] < 0.3


@pytest.mark.parametrize(
    ("word", "other"),
    [("shape", "disc"), ("colour", "blue"), ("background", "white"), ("motion", "slides up quickly")],
)
def test_the_judge_sees_each_single_fault(word, other):
    scene = world.Scene("square", "red", "black", "slides left quickly")
    verdict = judge.judge(world.render(replace(scene, **{word: other}), 49), scene)
    assert getattr(verdict, word) == 0
    assert verdict.all_right == 0
    for name in {"shape", "colour", "background", "motion"} - {word}:
        assert getattr(verdict, name) == 1


def test_a_lost_object_is_not_a_motion():
    scene = scenes(1)[0]
    video = world.render(scene, 49)
    video[20] = video[20, 0, 0]
    verdict = judge.judge(video, scene)
    assert verdict.found < 1
    assert verdict.motion == 0


def test_confetti_is_no_object():
    rng = np.random.default_rng(0)
    video = (rng.random((9, 64, 64, 1)) > 0.97).astype(np.float32).repeat(3, -1)
    assert judge.judge(video, scenes(1)[0]).found == 0


def test_a_true_clip_keeps_its_object():
    for scene in scenes(12):
        assert identity.keeps_identity(world.render(scene, 49)) == (True, True)


@pytest.mark.parametrize(
    ("change", "kept"), [({"colour": "magenta"}, (False, True)), ({"shape": "ring"}, (True, False))]
)
def test_an_object_that_becomes_another_is_noticed(change, kept):
    scene = world.Scene("square", "red", "grey", "stays still")
    video = np.concatenate([world.render(scene, 30), world.render(replace(scene, **change), 19)])
    assert identity.keeps_identity(video) == kept
