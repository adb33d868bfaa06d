"""Tune-A-Video training: which frames are encoded, and which of them a step sees."""

from __future__ import annotations

import pytest
import torch

from pack.training.core.batches import seeded_generator
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Sample
from pack.training.tune_a_video.recipe import FIXED, RANDOM, RANDOM_START, ClipRecipe, FrameWindow


def sample(frames: int) -> Sample:
    """Grey frames that tell their number."""
    levels = torch.arange(frames, dtype=torch.uint8)[:, None, None, None].expand(-1, 8, 8, 3)
    return Sample(TensorClip(levels), "a ball", name="ball")


def numbers(recipe: ClipRecipe, frames: int) -> list[int]:
    return (recipe.clips(sample(frames))["clip"][:, 0, 0, 0] * 255).round().int().tolist()


def seen(window: FrameWindow, count: int, draws: int = 400) -> set[tuple[int, ...]]:
    """The frames, by their place in the clip, that some steps see."""
    encoded = list(range(count))[window.encoded]
    return {tuple(encoded[window.within(len(encoded), seeded_generator(0, i, "dropout"))]) for i in range(draws)}


@pytest.mark.parametrize(
    ("window", "frames"),
    [
        (FrameWindow(4), [0, 1, 2, 3]),
        (FrameWindow(3, 2, 1), [1, 3, 5]),
        (FrameWindow(0, 3), [0, 3, 6, 9]),
        (FrameWindow(0, 1, 8), [8, 9]),
    ],
)
def test_a_fixed_window_encodes_its_frames_alone_and_sees_them_at_every_step(window, frames):
    assert numbers(ClipRecipe(window), 10) == frames
    assert seen(window, 10) == {tuple(frames)}


def test_a_random_start_leaves_room_for_the_rest_and_reaches_every_place():
    window = FrameWindow(3, 2, 1, RANDOM_START)
    assert numbers(ClipRecipe(window), 10) == list(range(1, 10))
    assert seen(window, 10) == {(i, i + 2, i + 4) for i in range(1, 6)}


def test_a_random_stride_goes_from_one_to_the_given_one():
    expected = {(i, i + s, i + 2 * s) for s in (1, 2) for i in range(10 - 2 * s)}
    assert seen(FrameWindow(3, 2, 0, RANDOM), 10) == expected


def test_without_a_generator_the_first_place_is_meant():
    assert list(range(9))[FrameWindow(3, 2, 1, RANDOM).within(9)] == [0, 2, 4]


@pytest.mark.parametrize("kind", [FIXED, RANDOM_START, RANDOM])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_shorter_clip_of_a_prior_is_seen_as_far_as_it_goes(kind, count):
    window = FrameWindow(3, 2, 0, kind)
    recipe = ClipRecipe(window, shorter=True)
    encoded = numbers(recipe, count)
    for i in range(20):
        frames = encoded[window.within(len(encoded), seeded_generator(0, i, "dropout"))]
        assert len(frames) == (count + 1) // 2


def test_a_clip_that_is_too_short_is_refused_before_it_is_encoded():
    recipe = ClipRecipe(FrameWindow(5, 2, 3))
    with pytest.raises(ValueError, match=r"has 11 frames, 5 at a stride of 2 from frame 3 need 12; lower frames"):
        recipe.clips(sample(11))
    assert numbers(recipe, 12) == [3, 5, 7, 9, 11]
    with pytest.raises(ValueError, match=r"has 4 frames, 1 at a stride of 1 from frame 4 need 5"):
        ClipRecipe(FrameWindow(0, 1, 4)).check(sample(4))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stride": 0}, "24 frames at a stride of 0 from frame 0 .* stride of at least 1"),
        ({"frames": -1}, "no negative number"),
        ({"start": -1}, "no negative number"),
        ({"kind": "any"}, "window 'any' is not known; use one of fixed, random start"),
        ({"frames": 0, "kind": RANDOM_START}, "all frames has no random start; set frames, or the window to fixed"),
    ],
)
def test_a_window_that_cannot_be_is_refused(values, said):
    with pytest.raises(ValueError, match=said):
        FrameWindow(**values)


def test_the_key_changes_with_the_encoded_frames_alone():
    keys = [
        ClipRecipe(window).key
        for window in (FrameWindow(4), FrameWindow(4, 2), FrameWindow(4, 1, 1), FrameWindow(5), FrameWindow(0))
    ]
    assert len(set(keys)) == 5
    moving = [FrameWindow(4, 1, 0, RANDOM_START), FrameWindow(5, 2, 0, RANDOM), FrameWindow(4, 3, 0, RANDOM_START)]
    assert len({ClipRecipe(window).key for window in moving}) == 1
    assert ClipRecipe(FrameWindow(4), 4).key == ClipRecipe(FrameWindow(4), shorter=True).key


def test_latents_of_another_vae_are_refused():
    latents = {"clip": torch.zeros(16, 2, 1, 1)}
    assert ClipRecipe(FrameWindow()).assemble(latents)["x0"] is latents["clip"]
    with pytest.raises(ValueError, match="makes latents of 16 channels, the model takes 4"):
        ClipRecipe(FrameWindow(), 4).assemble(latents)


def test_the_caption_is_the_clips():
    assert ClipRecipe(FrameWindow()).captions(sample(1)) == {"caption": "a ball"}
    assert ClipRecipe(FrameWindow()).frame_by_frame
