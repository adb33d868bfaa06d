"""TIC-FT over clips of several sizes and lengths."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from pack.methods.tic_ft import Layout, frame_sigmas
from pack.training.core.batches import StepGenerators, batch_indices
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train
from pack.training.core.validation import validation_losses
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample
from pack.training.data.encoding import EncodedDataset
from pack.training.lora.metadata import from_metadata, to_metadata
from pack.training.tic_ft.buckets import layout_for
from pack.training.tic_ft.layout import plan_layout, plan_layouts, settings_from_record
from pack.training.tic_ft.objective import TicftObjective
from pack.training.tic_ft.recipe import TicftRecipe

FORMS = ((8, 16, 16), (12, 16, 16), (8, 32, 16), (8, 16, 16), (8, 16, 16))  # frames, width, height of five pairs
LONG, SHORT = Layout.linear(1, 3, 3), Layout.linear(1, 3, 2)


def sample(frames: int, width: int, height: int, number: int = 0) -> Sample:
    generator = torch.Generator().manual_seed(number)

    def clip(count: int) -> TensorClip:
        return TensorClip(torch.rand(count, height, width, 3, generator=generator))

    return Sample(clip(frames), f"ball {number}", (clip(1),), name=f"pair {number}", size=(width, height))


def mixed(*forms: tuple[int, int, int]) -> Dataset:
    samples = tuple(sample(*form, i) for i, form in enumerate(forms or FORMS))
    return Dataset(samples, 16, 16, 16.0, "")


def vae(pixels: Tensor) -> Tensor:
    """A causal stand-in ``[2, T, h, w]``: one latent for the first frame, one for each four after it."""
    small = pixels[:, ::8, ::8].mean(-1)
    groups = [small[:1].mean(0), *(small[i : i + 4].mean(0) for i in range(1, len(small), 4))]
    return torch.stack(groups)[None] * torch.tensor([1.0, -1.0])[:, None, None, None]


def encoder(dataset: Dataset, encode=vae, folder=None) -> EncodedDataset:
    text = {"cross_attn": torch.ones(1, 1)}
    return EncodedDataset(dataset, encode, lambda _: text, "stand-in", folder, lambda: None)


def recipe_for(dataset: Dataset) -> TicftRecipe:
    first, *others = plan_layouts("image to video", dataset)
    return TicftRecipe("image to video", first, others=tuple(others))


def objective(dataset: Dataset, config: TrainConfig | None = None, recipe: TicftRecipe | None = None) -> TicftObjective:
    recipe = recipe or recipe_for(dataset)
    encoded = encoder(dataset).encode(recipe)
    x0 = [one.latents["x0"] for one in encoded.samples]
    conditioning = [one.conditioning["caption"] for one in encoded.samples]
    return TicftObjective(x0, conditioning, encoded.unconditional, recipe, config or TrainConfig(), dataset)


def test_each_length_has_its_layout_and_that_of_the_fullest_bucket_comes_first():
    assert plan_layouts("image to video", mixed()) == (SHORT, LONG)
    assert plan_layouts("image to video", mixed((12, 16, 16), (8, 16, 16), (12, 16, 16))) == (LONG, SHORT)
    levels = plan_layouts("image to video", mixed(), levels="0.1,0.2,0.3")
    assert [layout.levels for layout in levels] == [(0.1, 0.2, 0.3)] * 2
    assert plan_layouts("image to video", mixed((8, 16, 16), (11, 16, 16))) == (SHORT,)  # 2 latents hold both


def test_one_length_gives_the_one_layout_of_before():
    dataset = mixed((8, 16, 16), (8, 32, 16))
    assert plan_layouts("image to video", dataset) == (plan_layout("image to video", dataset),)


def test_a_bucket_that_is_too_short_and_an_empty_set_are_refused():
    with pytest.raises(ValueError, match="the targets have 3 frames; TIC-FT needs at least 4"):
        plan_layouts("image to video", mixed((8, 16, 16), (3, 16, 16)))
    with pytest.raises(ValueError, match="no clips; training needs at least one"):
        plan_layouts("image to video", Dataset((), 16, 16, 16.0, ""))


def test_a_clip_has_the_longest_layout_that_it_fills():
    assert layout_for(11, (SHORT, LONG)) == SHORT
    assert layout_for(30, (SHORT, LONG)) == LONG
    with pytest.raises(ValueError, match="a target has 7 frames, the layout needs 8; use longer clips"):
        layout_for(7, (SHORT, LONG))


def test_every_clip_is_encoded_as_it_would_be_in_a_set_of_its_own():
    dataset = mixed()
    together = objective(dataset).x0
    for one, latents in zip(dataset.samples, together, strict=True):
        alone = Dataset((one,), 16, 16, 16.0, "")
        assert torch.equal(latents, objective(alone).x0[0])
    assert [tuple(x.shape) for x in together] == [
        (2, 6, 2, 2), (2, 7, 2, 2), (2, 6, 2, 4), (2, 6, 2, 2), (2, 6, 2, 2),
    ]  # fmt: skip


def test_a_new_bucket_does_not_encode_the_others_again(tmp_path):
    seen = []

    def counted(pixels: Tensor) -> Tensor:
        seen.append(tuple(pixels.shape))
        return vae(pixels)

    before, after = mixed((8, 16, 16), (8, 16, 16)), mixed((8, 16, 16), (8, 16, 16), (12, 16, 16))
    encoder(before, counted, tmp_path).encode(recipe_for(before))
    seen.clear()
    encoder(after, counted, tmp_path).encode(recipe_for(after))
    assert sorted(seen) == [(13, 16, 16, 3), (25, 16, 16, 3)]  # of the new pair alone
    assert encoder(before).key(recipe_for(before)) != encoder(after).key(recipe_for(after))


def test_the_length_of_a_bucket_is_part_of_the_identity():
    dataset = mixed()
    keys = {encoder(dataset).key(recipe_for(dataset)), encoder(dataset).key(TicftRecipe("image to video", SHORT))}
    assert len(keys) == 2


def test_the_clips_of_a_bucket_are_those_that_can_be_stacked():
    made = objective(mixed())
    assert made.groups == ((0, 3, 4), (1,), (2,))
    for step in range(30):
        batch = made.batch(batch_indices(0, step, made.size, 2, made.groups), StepGenerators.at(0, step))
        assert batch.x0.shape == batch.noise.shape
    with pytest.raises(ValueError, match=re.escape("clips [0, 1] are of several buckets")):
        made.batch([0, 1], StepGenerators.at(0, 0))


@pytest.mark.parametrize(("index", "layout"), [(0, SHORT), (1, LONG)])
def test_loss_and_levels_follow_the_buckets_own_layout(index, layout):
    seen = {}

    def predict(xt, _sigma, _conditioning):
        seen.update(xt=xt)
        return torch.zeros_like(xt)

    made = objective(mixed())
    batch = made.batch([index], StepGenerators.at(0, 0))
    result = made.loss(predict, batch)
    levels = frame_sigmas(layout, batch.sigma)[:, None, :, None, None]
    torch.testing.assert_close(seen["xt"], (1 - levels) * batch.x0 + levels * batch.noise)
    expected = (batch.noise - batch.x0)[:, :, layout.target_slice].square().flatten(1).mean(1)
    torch.testing.assert_close(result.per_sample, expected)


def test_the_metadata_name_the_fullest_bucket_and_list_all():
    settings = settings_from_record(from_metadata(to_metadata(objective(mixed((8, 32, 16), *FORMS)).metadata())))
    assert settings is not None
    assert (settings["target_latents"], settings["width"], settings["height"]) == (2, 16, 16)
    assert settings["buckets"] == [
        {"width": 16, "height": 16, "target_latents": 2, "clips": 3},
        {"width": 32, "height": 16, "target_latents": 2, "clips": 2},
        {"width": 16, "height": 16, "target_latents": 3, "clips": 1},
    ]
    plain = settings_from_record(from_metadata(to_metadata(objective(mixed((8, 16, 16))).metadata())))
    assert plain is not None
    assert "buckets" not in plain


def test_the_size_in_the_metadata_is_the_fullest_buckets_and_not_the_asked_one():
    settings = recipe_for(mixed((8, 32, 16))).settings(False, mixed((8, 32, 16)))
    assert (settings["width"], settings["height"]) == (32, 16)


def test_validation_covers_every_bucket():
    made = objective(mixed())
    first, second = (validation_losses(made, lambda xt, *_: xt, "cpu") for _ in range(2))
    assert first == second
    assert first["mean"] > 0
    assert [made.fixed_batch(i, 0.5).x0.shape[2] for i in range(made.size)] == [6, 7, 6, 6, 6]


def test_training_over_buckets_can_go_on_anywhere():
    dataset, shapes = mixed(), []

    def run(steps: int):
        weight = torch.nn.Parameter(torch.zeros(2))
        made = objective(dataset, TrainConfig(steps=steps, batch_size=2, learning_rate=0.01))

        def predict(xt, *_):
            shapes.append(tuple(xt.shape))
            return xt * weight[:, None, None, None]

        return train(made, predict, [weight], made.config).losses, weight

    whole, _ = run(12)
    assert len({shape[1:] for shape in shapes}) == 3
    assert all(shape[0] == 2 for shape in shapes)
    assert run(7)[0] == whole[:7]
