"""How much of a source's look is in a video: clips of the toy world with known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.methods.leak_scores import appearance_leak, colour_leak, texture_leak
from pack.methods.video_scores import score
from pack.toy.world import Scene, render

SOURCE = Scene("square", "red", "black", "loops in a figure eight")
ASKED = Scene("disc", "blue", "black", "stays still")  # the base model's answer to the prompt, say
MOVED = replace(ASKED, motion=SOURCE.motion)  # what should come out


def planes(scene: Scene, frames: int = 25) -> torch.Tensor:
    return torch.from_numpy(render(scene, frames)).movedim(-1, 1)


def leaks(video: Scene, asked: Scene | None = ASKED) -> tuple[float, float]:
    """Of colours and of textures."""
    clips = planes(video), planes(SOURCE), None if asked is None else planes(asked)
    return colour_leak(*clips), texture_leak(*clips)


def test_the_asked_object_with_the_sources_motion_leaks_nothing():
    assert max(leaks(MOVED)) < 0.02
    assert max(leaks(replace(MOVED, background="white"), replace(ASKED, background="white"))) < 0.02


def test_the_source_itself_leaks_all_of_it_wherever_it_moves():
    assert min(leaks(SOURCE)) > 0.8
    assert min(leaks(replace(SOURCE, motion="slides left slowly", offset=(6.0, 3.0)))) > 0.8


def test_a_background_that_was_asked_for_is_no_leak_and_one_that_was_not_is():
    assert leaks(MOVED)[0] < 0.02 < 0.8 < leaks(MOVED, asked=None)[0]
    assert leaks(MOVED, asked=replace(ASKED, background="white"))[0] > 0.8


def test_the_sources_colour_on_the_asked_shape_is_a_leak():
    colour, texture = leaks(replace(MOVED, colour="red"))
    assert colour > 0.8
    assert texture > 0.5


def test_a_third_look_is_no_leak():
    third = Scene("triangle", "green", "white", "bounces")
    assert max(leaks(third, replace(ASKED, background="white"))) < 0.02
    assert max(leaks(third, asked=None)) < 0.02


def test_a_leak_in_half_of_the_frames_counts_half():
    whole, none = planes(replace(MOVED, colour="red"), 24), planes(MOVED, 24)
    half = torch.cat([whole[:12], none[12:]])
    source, asked = planes(SOURCE), planes(ASKED)
    assert colour_leak(half, source, asked) == pytest.approx(colour_leak(whole, source, asked) / 2, abs=0.1)
    assert texture_leak(half, source, asked) == pytest.approx(texture_leak(whole, source, asked) / 2, abs=0.1)


def test_a_fading_source_leaks_less_and_less():
    source, clean, asked = planes(SOURCE), planes(MOVED), planes(ASKED)
    found = [appearance_leak(share * source + (1 - share) * clean, source, asked) for share in (1.0, 0.7, 0.4, 0.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.8
    assert found[-1] < 0.02


def test_where_the_source_was_asked_for_nothing_can_leak():
    assert leaks(SOURCE, asked=SOURCE) == pytest.approx((0.0, 0.0), abs=0.02)


def test_the_score_is_the_mean_of_both_at_any_size():
    video, source, asked = (planes(scene).movedim(1, -1) for scene in (MOVED, SOURCE, ASKED))
    assert score(video, source, asked=asked)["appearance_leak"] < 0.02
    assert score(video, source)["appearance_leak"] > 0.4  # nobody said that black was asked for
    large = torch.from_numpy(render(SOURCE, 25, 128))
    assert score(source, large, asked=asked)["appearance_leak"] > 0.8
    with pytest.raises(ValueError, match="the asked appearance has shape"):
        score(video, source, asked=asked[0])
