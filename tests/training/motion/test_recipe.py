"""What of a clip is encoded for one-shot motion: single pictures for its look, the whole for its motion."""

from __future__ import annotations

import pytest
import torch

from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample
from pack.training.motion.recipe import AppearanceRecipe, MotionRecipe, plan_stride, still_captions


def clip(frames: int, start: float = 0.0) -> TensorClip:
    """Grey frames that tell their number: ``start + i / 100``."""
    levels = start + torch.arange(frames)[:, None, None, None] / 100
    return TensorClip(levels.expand(-1, 16, 16, 3))


def clips(*frames: int) -> Dataset:
    samples = tuple(Sample(clip(n, i / 10), f"a ball rolls {i}", name=f"clip {i}") for i, n in enumerate(frames))
    return Dataset(samples, 16, 16, 16.0, "")


def numbers(pixels: torch.Tensor) -> list[int]:
    return (pixels[:, 0, 0, 0] * 100).round().int().tolist()


def test_pictures_are_single_frames_spread_over_the_clip():
    parts = AppearanceRecipe(most=4).clips(clips(10)[0])
    assert [numbers(part) for part in parts.values()] == [[0], [3], [6], [9]]
    assert len(AppearanceRecipe().clips(clips(5)[0])) == 5  # no more than there are


def test_pictures_are_put_together_in_order():
    recipe = AppearanceRecipe(most=12, channels=1)
    latents = {name: pixels[:, :1, :1, :1].movedim(-1, 0) for name, pixels in recipe.clips(clips(12)[0]).items()}
    found = recipe.assemble(latents)["pictures"]
    assert found.shape == (1, 12, 1, 1)
    assert (found.flatten() * 100).round().tolist() == list(range(12))


def test_the_motion_recipe_encodes_the_whole_latents_of_a_clip():
    assert numbers(MotionRecipe().clips(clips(12)[0])["clip"]) == list(range(9))
    assert len(MotionRecipe(time_patch=2).clips(clips(12)[0])["clip"]) == 5  # 2 of 3 latents
    found = MotionRecipe(channels=2).assemble({"clip": torch.ones(2, 3, 1, 1)})
    assert list(found) == ["x0"]


def test_a_key_changes_with_the_latents_and_with_nothing_else():
    assert AppearanceRecipe(most=4).key != AppearanceRecipe(most=5).key
    assert AppearanceRecipe(channels=4, stills={"a": "b"}).key == AppearanceRecipe().key
    assert MotionRecipe(time_patch=2).key != MotionRecipe().key
    assert MotionRecipe(stride=3).key == MotionRecipe().key


def test_the_stride_suits_the_longest_clip():
    data = clips(81, 41)  # 21 and 11 latents
    assert plan_stride(data, 6) == 4
    assert plan_stride(data, 0) == 1
    assert MotionRecipe(stride=4).latents_of(data[1]) == 11


def test_stills_may_have_a_caption_without_the_motion():
    data = clips(5, 9)
    plain = AppearanceRecipe()
    assert plain.captions(data[1]) == {"caption": "a ball rolls 1"}
    one = AppearanceRecipe(stills=still_captions(" a ball \n", data))
    assert [one.captions(sample)["caption"] for sample in data.samples] == ["a ball", "a ball"]
    each = AppearanceRecipe(stills=still_captions("a ball\n\na cube", data))
    assert [each.captions(sample)["caption"] for sample in data.samples] == ["a ball", "a cube"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: still_captions("a\nb\nc", clips(5, 9)), "3 captions of stills were given for 2 clips"),
        (lambda: MotionRecipe().clips(clips(4)[0]), "4 frames is too short .* at least 5 frames"),
        (lambda: MotionRecipe(stride=4).clips(clips(16)[0]), "16 frames is too short .* at least 17 frames"),
        (lambda: plan_stride(clips(81), 1), "1 of 21 latent frames"),
        (lambda: MotionRecipe(channels=16).assemble({"clip": torch.ones(2, 3, 1, 1)}), "latents of 2 channels"),
        (lambda: AppearanceRecipe(channels=16).assemble({"frame_0": torch.ones(2, 1, 1, 1)}), "latents of 2 channels"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
