"""What of a clip and its references is encoded, and in which variants."""

from __future__ import annotations

import pytest
import torch

from pack.training.aicl.augmentation import COLOUR, CROP, FLIP, LEAK_CONTROL, NONE, augmented
from pack.training.aicl.groups import BY_FOLDER, FILES
from pack.training.aicl.recipe import AiclRecipe
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Sample


def frames(count: int, seed: int = 0, size: int = 16) -> torch.Tensor:
    return torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(seed))


def sample(target: int = 10, reference: int = 14) -> Sample:
    return Sample(
        TensorClip(frames(target)), "a disc", reference=TensorClip(frames(reference, 1)), reference_caption="r"
    )


def test_a_clip_and_its_file_are_cut_to_whole_latents():
    recipe = AiclRecipe(FILES, COLOUR, 2)
    clips = recipe.clips(sample())
    assert {name: len(clip) for name, clip in clips.items()} == {
        "target": 9, "reference_0": 13, "reference_1": 13, "reference_2": 13,
    }  # fmt: skip
    assert torch.equal(clips["reference_0"], sample().reference.frames()[:13])
    assert torch.equal(clips["target"], sample().target.frames()[:9])
    assert len(AiclRecipe(FILES, time_patch=2).clips(sample())["target"]) == 5
    assert recipe.captions(sample()) == {"caption": "a disc", "reference": "r"}
    assert AiclRecipe(FILES, time_patch=2).latents_of(10) == 2


def test_in_groups_a_clip_is_also_a_reference_and_encoded_once():
    recipe = AiclRecipe(BY_FOLDER, CROP, 1)
    clips = recipe.clips(sample())
    assert list(clips) == ["target", "reference_1"]
    assert torch.equal(clips["reference_1"], augmented(clips["target"], CROP, 1))
    latents = recipe.assemble({name: torch.full((2, 1, 1, 1), float(i)) for i, name in enumerate(clips)})
    assert [float(value.mean()) for value in recipe.references(latents)] == [0.0, 1.0]
    assert recipe.captions(sample()) == {"caption": "a disc", "reference": "a disc"}


def test_without_leak_control_there_are_no_variants():
    recipe = AiclRecipe(FILES, NONE, 3)
    assert list(recipe.clips(sample())) == ["target", "reference_0"]
    assert recipe.key == AiclRecipe(FILES, NONE, 0).key


def test_the_key_changes_with_what_changes_the_latents_and_with_nothing_else():
    recipes = [
        AiclRecipe(FILES), AiclRecipe(BY_FOLDER), AiclRecipe(FILES, COLOUR, 1), AiclRecipe(FILES, COLOUR, 2),
        AiclRecipe(FILES, CROP, 1), AiclRecipe(FILES, compression=8), AiclRecipe(FILES, time_patch=2),
    ]  # fmt: skip
    assert len({recipe.key for recipe in recipes}) == len(recipes)
    assert AiclRecipe("action word").key == AiclRecipe(BY_FOLDER).key
    assert AiclRecipe(FILES, channels=16).key == AiclRecipe(FILES).key


@pytest.mark.parametrize(
    ("target", "reference", "patch", "sentence"),
    [
        (4, 9, 1, "the clip has 4 frames, in which nothing moves; at least 5 are needed"),
        (9, 1, 1, "the reference has 1 frames"),
        (4, 9, 2, "at least 5 are needed"),
    ],
)
def test_clips_in_which_nothing_moves_are_refused(target, reference, patch, sentence):
    with pytest.raises(ValueError, match=sentence):
        AiclRecipe(FILES, time_patch=patch).clips(sample(target, reference))


def test_a_missing_reference_and_a_foreign_vae_are_refused():
    with pytest.raises(ValueError, match="it has no reference"):
        AiclRecipe(FILES).clips(Sample(TensorClip(frames(9)), "x"))
    with pytest.raises(ValueError, match="latents of 4 channels, the model takes 16"):
        AiclRecipe(FILES, channels=16).assemble({"target": torch.zeros(4, 1, 1, 1)})


@pytest.mark.parametrize("control", LEAK_CONTROL[1:])
def test_variants_are_functions_of_pixels_and_number(control):
    clip = frames(3)
    first, again, other = augmented(clip, control, 1), augmented(clip.clone(), control, 1), augmented(clip, control, 2)
    assert torch.equal(first, again)
    assert first.shape == clip.shape
    assert not torch.equal(first, other)
    assert not torch.equal(first, augmented(frames(3, 4), control, 1))
    assert 0.0 <= float(first.min()) <= float(first.max()) <= 1.0


def test_colour_leaves_grey_places_grey_and_every_place_where_it_is():
    grey = torch.full((2, 8, 8, 3), 0.5)
    grey[:, 2, 3] = torch.tensor([0.9, 0.2, 0.1])
    made = augmented(grey, COLOUR, 1)
    spread = made.amax(-1) - made.amin(-1)
    assert float(spread[:, 2, 3].min()) > 0.1
    spread[:, 2, 3] = 0
    assert float(spread.max()) < 1e-5
    hues = torch.stack([augmented(grey, COLOUR, i)[0, 2, 3].argmax() for i in range(1, 30)])
    assert set(hues.tolist()) == {0, 1, 2}  # every channel leads now and then


def test_a_crop_is_the_same_in_all_frames_and_a_flip_happens_now_and_then():
    still = frames(1, size=32).expand(3, -1, -1, -1)
    made = augmented(still, CROP, 1)
    assert torch.equal(made[0], made[2])
    ramp = torch.linspace(0, 1, 32).expand(2, 32, 32)[..., None].expand(-1, -1, -1, 3).contiguous()
    slopes = [
        float(augmented(ramp, FLIP, i)[0, :, -1].mean() - augmented(ramp, FLIP, i)[0, :, 0].mean())
        for i in range(1, 21)
    ]
    assert {slope > 0 for slope in slopes} == {True, False}
    assert all(
        float(augmented(ramp, CROP, i)[0, :, -1].mean() - augmented(ramp, CROP, i)[0, :, 0].mean()) > 0
        for i in range(9)
    )


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match="leak_control is 'blur'; choose one of none, colour"):
        augmented(frames(2), "blur", 1)
