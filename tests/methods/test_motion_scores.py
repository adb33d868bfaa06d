"""Scores of motion on clips of the toy world, whose motion is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.methods import motion_scores as scores
from pack.methods.optical_flow import Motion, clip_motion
from pack.toy.world import Scene, render

FRAMES = 24
DISC = Scene("disc", "red", "grey", "slides right quickly")
OTHERS = {"shape": "square", "colour": "blue", "background": "white"}
OPPOSITES = [
    ("slides right quickly", "slides left quickly"),
    ("slides up slowly", "slides down slowly"),
    ("circles clockwise", "circles anticlockwise"),
]
MOTIONS = ["slides right quickly", "slides down slowly", "circles clockwise", "bounces", "grows", "zigzags"]


def planes(scene: Scene, frames: int = FRAMES) -> torch.Tensor:
    return torch.from_numpy(render(scene, frames)).movedim(-1, 1)


def motion_of(motion: str, **changes: str) -> Motion:
    return clip_motion(planes(replace(DISC, motion=motion, **changes)))


def shuffled(clip: torch.Tensor) -> torch.Tensor:
    return clip[torch.randperm(len(clip), generator=torch.Generator().manual_seed(0))]


def uniform(dx: float, dy: float, trust: float = 1.0) -> Motion:
    """The same flow everywhere."""
    flow = torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(5, 2, 32, 64).clone()
    return Motion(flow, torch.full((5, 1, 32, 64), trust))


STILL = uniform(0, 0)


def test_dynamic_degree_is_a_share_of_the_short_side():
    assert scores.dynamic_degree(uniform(3, 4)) == pytest.approx(100 * 5 / 32)
    assert scores.dynamic_degree(uniform(3, 4, trust=0.0)) == 0
    assert scores.dynamic_degree(STILL) == 0


def test_dynamic_degree_follows_the_fastest_twentieth():
    motion = uniform(0, 0)
    motion.flow[:, 0, :, :3] = 2.0  # 3 of 64 columns, a little less than 5 %
    assert scores.dynamic_degree(motion) == pytest.approx(100 * 2 * 96 / 102 / 32)


@pytest.mark.parametrize(("slow", "quick"), [("slides up slowly", "slides up quickly"), ("stays still", "grows")])
def test_a_quicker_clip_is_more_dynamic(slow, quick):
    assert scores.dynamic_degree(motion_of(quick)) > 1.4 * scores.dynamic_degree(motion_of(slow))


def test_the_speed_of_an_object_is_measured_on_it():
    degree = scores.dynamic_degree(motion_of("slides right quickly"))
    assert 0.72 <= degree * 64 / 100 < 1.3 * 0.72  # pixels a frame; the fastest pixels overshoot a little


def test_warping_explains_motion_and_not_disorder():
    clip = planes(replace(DISC, motion="circles clockwise"))
    change = (clip[1:] - clip[:-1]).abs().mean()
    assert scores.warping_error(clip, clip_motion(clip)) < 0.25 * change
    mixed = shuffled(clip)
    assert scores.warping_error(mixed, clip_motion(mixed)) > 5 * scores.warping_error(clip, clip_motion(clip))


def test_warping_counts_only_what_stays_inside():
    clip = torch.zeros(6, 3, 32, 64)
    clip[1] = 1.0
    assert scores.warping_error(clip, STILL) == pytest.approx(2 / 5)
    assert scores.warping_error(clip, uniform(100, 0)) == 0
    half = uniform(32, 0)
    clip[1, :, :, :32] = 0.0
    assert scores.warping_error(clip, half) == pytest.approx(1 / 5)  # of the left half, the first pair


def test_noise_cannot_be_explained_by_motion():
    clip = planes(DISC)
    noise = torch.randn(clip.shape, generator=torch.Generator().manual_seed(0))
    found = [scores.warping_error(x, clip_motion(x)) for x in (clip + amount * noise for amount in (0.0, 0.05, 0.15))]
    assert found == sorted(found)
    assert found[2] > 0.05


def test_flow_of_known_direction_agrees_as_its_cosine():
    right, left, down = uniform(1, 0), uniform(-2, 0), uniform(0, 3)
    assert scores.flow_agreement(right, right) == pytest.approx(1)
    assert scores.flow_agreement(right, left) == pytest.approx(-1)
    assert scores.flow_agreement(right, down) == pytest.approx(0)
    assert scores.flow_agreement(right, uniform(1, 1)) == pytest.approx(0.5**0.5)
    assert scores.flow_agreement(right, STILL) == 0
    assert scores.flow_agreement(STILL, STILL) == 1


def test_flow_error_is_between_none_and_one():
    right = uniform(1, 0)
    assert scores.flow_error(right, right) == 0
    assert scores.flow_error(right, uniform(-2, 0)) == pytest.approx(1)
    assert scores.flow_error(right, uniform(3, 0)) == pytest.approx(2 / 4)
    assert scores.flow_error(right, STILL) == pytest.approx(1)
    assert scores.flow_error(STILL, STILL) == 0


def test_motion_too_slow_to_have_a_direction_is_none():
    assert scores.flow_agreement(uniform(0.04, 0), uniform(-0.04, 0)) == 1
    assert scores.flow_agreement(uniform(1, 0), uniform(-0.04, 0)) == 0


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_same_motion_by_another_object_agrees(motion):
    video, reference = motion_of(motion), motion_of(motion, **OTHERS)
    assert scores.trajectory_agreement(video, reference) > 0.85
    assert scores.flow_agreement(video, reference) > 0.6
    assert scores.flow_error(video, reference) < 0.45


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_clip_agrees_with_itself_fully(motion):
    own = motion_of(motion)
    assert scores.trajectory_agreement(own, own) == pytest.approx(1, abs=1e-5)
    assert scores.flow_agreement(own, own) == pytest.approx(1, abs=1e-5)
    assert scores.flow_error(own, own) == 0


@pytest.mark.parametrize(("motion", "opposite"), OPPOSITES)
def test_the_opposite_motion_disagrees(motion, opposite):
    video, reference = motion_of(motion), motion_of(opposite, **OTHERS)
    assert scores.flow_agreement(video, reference) < -0.1
    assert scores.flow_error(video, reference) > 0.9
    same = scores.trajectory_agreement(video, motion_of(motion, **OTHERS))
    assert scores.trajectory_agreement(video, reference) < same - 0.5


def test_growing_and_shrinking_share_their_paths_but_not_their_places():
    grows, shrinks = motion_of("grows"), motion_of("shrinks", **OTHERS)
    assert scores.flow_agreement(grows, shrinks) < -0.1
    assert scores.trajectory_agreement(grows, shrinks) > 0.8  # to the left on the left is to the left on the right


def test_paths_agree_wherever_they_are():
    right = motion_of("slides right quickly")
    away = clip_motion(planes(replace(DISC, offset=(0.0, 18.0), **OTHERS)))
    assert scores.trajectory_agreement(right, away) > 0.85
    assert scores.flow_agreement(right, away) < 0.5


def test_a_frozen_clip_has_no_paths():
    frozen, moving = motion_of("stays still"), motion_of("bounces")
    assert scores.trajectory_agreement(frozen, moving) == 0
    assert scores.trajectory_agreement(moving, frozen) == 0
    assert scores.trajectory_agreement(frozen, frozen) == 1
    assert scores.flow_agreement(frozen, moving) == 0


def test_self_similarity_is_rhythm_without_place_and_direction():
    bounce = planes(replace(DISC, motion="bounces"))
    other = planes(replace(DISC, motion="bounces", offset=(9.0, 0.0), **OTHERS))
    assert scores.self_similarity(bounce, bounce) == pytest.approx(1, abs=1e-5)
    assert scores.self_similarity(bounce, other) > 0.9
    assert scores.self_similarity(bounce, bounce.flip(-1)) == pytest.approx(1, abs=1e-4)
    assert scores.self_similarity(bounce, shuffled(bounce)) < 0.3
    assert scores.self_similarity(bounce, planes(replace(DISC, motion="grows"))) < 0.8


def test_self_similarity_of_frozen_clips_is_said():
    frozen, moving = planes(replace(DISC, motion="stays still")), planes(DISC)
    assert scores.self_similarity(frozen, frozen) == 1
    assert scores.self_similarity(frozen, moving) == 0
