"""TIC-FT training: recipe, layout of a data set, objective."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pack.methods.tic_ft import Layout, frame_sigmas
from pack.training.core.batches import StepGenerators
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train
from pack.training.core.validation import validation_losses
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample
from pack.training.lora.metadata import from_metadata, to_metadata
from pack.training.tic_ft.cuts import cut_frames
from pack.training.tic_ft.layout import plan_layout, settings_from_record, ticft_settings
from pack.training.tic_ft.objective import TicftObjective, TicftRecipe

LAYOUT = Layout.linear(1, 3, 2)


def clip(frames: int, start: float = 0.0) -> TensorClip:
    """Grey frames that tell their number: ``start + i / 100``."""
    levels = start + torch.arange(frames)[:, None, None, None] / 100
    return TensorClip(levels.expand(-1, 16, 16, 3))


def pairs(*frames: int, conditions: tuple[TensorClip, ...] | None = None) -> Dataset:
    conditions = (clip(1, 0.9),) if conditions is None else conditions
    samples = tuple(Sample(clip(n), "a ball rolls", conditions, name=f"pair {i}") for i, n in enumerate(frames))
    return Dataset(samples, 16, 16, 16.0, "")


def vae(pixels: Tensor) -> Tensor:
    """A causal stand-in: one latent for the first frame, one for each four after it, ``[1, T, 1, 1]``."""
    levels = pixels.mean((1, 2, 3))
    groups = [levels[:1].mean(), *(levels[i : i + 4].mean() for i in range(1, len(levels), 4))]
    return torch.stack(groups).reshape(1, -1, 1, 1)


def objective(
    config: TrainConfig | None = None, layout: Layout = LAYOUT, clips: int = 3, dataset: Dataset | None = None
) -> TicftObjective:
    generator = torch.Generator().manual_seed(0)
    x0 = [torch.randn(2, layout.frames, 2, 2, generator=generator) for _ in range(clips)]
    conditioning = [{"cross_attn": torch.full((1, 1), float(i + 1))} for i in range(clips)]
    empty = {"cross_attn": torch.zeros(1, 1)}
    recipe = TicftRecipe("image to video", layout)
    return TicftObjective(x0, conditioning, empty, recipe, config or TrainConfig(), dataset)


def test_the_sequence_is_condition_pixels_then_the_first_target_frames():
    clips = TicftRecipe("image to video", LAYOUT).clips(pairs(10)[0])
    assert clips["sequence"].shape[0] == 13 + 8
    torch.testing.assert_close(clips["sequence"][:13, 0, 0, 0], torch.full((13,), 0.9), atol=0.003, rtol=0)
    expected = torch.arange(0, 8) / 100
    torch.testing.assert_close(clips["sequence"][13:, 0, 0, 0], expected, atol=0.003, rtol=0)


def test_target_latents_are_the_end_of_the_sequence_and_conditions_stand_alone():
    recipe = TicftRecipe("multiple images", Layout.linear(4, 3, 2))
    sample = pairs(8, conditions=(clip(1, 0.2), clip(1, 0.6)))[0]
    latents = {name: vae(pixels) for name, pixels in recipe.clips(sample).items()}
    assert {name: value.shape[1] for name, value in latents.items()} == {
        "condition_0": 3, "condition_1": 4, "sequence": 9,
    }  # fmt: skip
    x0 = recipe.assemble(latents)["x0"].flatten()
    expected = torch.tensor([0.2] * 3 + [0.6] * 4 + [0.015, 0.055])
    torch.testing.assert_close(x0, expected, atol=0.003, rtol=0)


def test_joint_encoding_takes_everything_from_one_pass():
    recipe = TicftRecipe("image to video", LAYOUT, joint=True)
    clips = recipe.clips(pairs(8)[0])
    assert list(clips) == ["sequence"]
    assert recipe.assemble({"sequence": vae(clips["sequence"])})["x0"].shape[1] == LAYOUT.frames
    assert recipe.key != TicftRecipe("image to video", LAYOUT).key


def test_without_condition_and_buffer_the_target_is_a_plain_video():
    layout = plan_layout("custom", pairs(9), condition=0, buffer=0)
    assert layout.target == 3
    clips = TicftRecipe("custom", layout).clips(pairs(9)[0])
    assert {name: len(pixels) for name, pixels in clips.items()} == {"sequence": 9}


@pytest.mark.parametrize(
    ("task", "frames", "said"),
    [
        ("image to video", 5, "connect"),
        ("keyframes", 25, "condition_latents to"),
    ],
)
def test_conditions_that_do_not_suit_the_task_are_named_as_files(task, frames, said):
    sample = pairs(8, conditions=(clip(frames),))[0]
    with pytest.raises(ValueError, match=re.escape(f"'{task}' got")) as refused:
        TicftRecipe(task, Layout.linear(4, 3, 2)).clips(sample)
    sentence = str(refused.value)
    assert said not in sentence
    assert "`" not in sentence
    assert ("NAME.condition.<ext>" if task == "image to video" else "pick up to 4 frames") in sentence


def test_latents_of_another_models_vae_are_refused_at_the_first_clip():
    recipe = TicftRecipe("image to video", LAYOUT, channels=16)
    latents = {name: vae(pixels) for name, pixels in recipe.clips(pairs(8)[0]).items()}
    with pytest.raises(ValueError, match=r"^the VAE makes latents of 1 channels, the model takes 16; load the model's"):
        recipe.assemble(latents)
    assert replace(recipe, channels=1).assemble(latents)["x0"].shape[1] == LAYOUT.frames
    assert recipe.key == replace(recipe, channels=1).key


def test_levels_do_not_change_what_is_encoded():
    other = Layout(1, 3, 2, (0.1, 0.2, 0.3))
    assert TicftRecipe("image to video", other).key == TicftRecipe("image to video", LAYOUT).key


def test_the_layout_takes_the_tasks_counts_and_the_clips_length(caplog):
    with caplog.at_level(logging.INFO):
        assert plan_layout("image to video", pairs(38, 38)) == Layout.linear(1, 3, 9)
    assert "the last 2 of 38 target frames" in caplog.text
    assert plan_layout("image to video", pairs(8), condition=2, buffer=1) == Layout.linear(2, 1, 2)


def test_condition_frames_that_no_latent_holds_are_told_with_their_clips(caplog):
    dataset = pairs(8, 8, conditions=(clip(31),)).with_sample(Sample(clip(8), "ball", (clip(49),), name="longer"))
    with caplog.at_level(logging.INFO):
        plan_layout("video to video", dataset)
    assert [record.getMessage() for record in caplog.records] == [
        "the last 6 of 31 frames of condition 1 are left out: 'video to video' holds 25 of it in 4 condition and "
        "3 buffer latents (pair 0, pair 1)",
        "the last 24 of 49 frames of condition 1 are left out: 'video to video' holds 25 of it in 4 condition and "
        "3 buffer latents (longer)",
    ]


def test_nothing_is_told_of_conditions_that_fit(caplog):
    with caplog.at_level(logging.INFO):
        plan_layout("video to video", pairs(8, conditions=(clip(25),)))
        plan_layout("video to video", pairs(8, conditions=(clip(9),)))
        plan_layout("keyframes", pairs(8, conditions=(clip(4),)))
        plan_layout("video to video", pairs(9, conditions=(clip(49),)), condition=0, buffer=0)
    assert not caplog.records


def test_of_many_cut_clips_a_few_are_named():
    (sentence,) = cut_frames("video to video", pairs(*[8] * 10, conditions=(clip(26),)), [Layout.linear(4, 3, 2)])
    assert sentence.endswith("(pair 0, pair 1, pair 2, pair 3, pair 4, pair 5, pair 6, pair 7 and 2 more)")


def test_a_condition_clip_for_a_task_of_one_image_is_refused_before_anything_is_encoded():
    with pytest.raises(
        ValueError, match=r"^pair 0: 'image to video' got 1 condition\(s\) with 5 frames; give one image"
    ):
        plan_layout("image to video", pairs(8, conditions=(clip(5),)))


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (pairs(8, 12), r"one length, got 8, 12"),
        (pairs(3), r"3 frames; TIC-FT needs at least 4"),
        (pairs(), r"no clips"),
        (pairs(8, conditions=()), r"clip 1 \(pair 0\) has none"),
    ],
)
def test_a_data_set_that_cannot_be_trained_on_is_refused(dataset, said):
    with pytest.raises(ValueError, match=said):
        plan_layout("image to video", dataset)


def test_the_network_sees_each_frame_at_its_own_level():
    seen = {}

    def predict(xt, sigma, conditioning):
        seen.update(xt=xt, sigma=sigma, text=[float(c["cross_attn"]) for c in conditioning])
        return torch.zeros_like(xt)

    made = objective()
    batch = made.batch([2, 0], StepGenerators.at(0, 5))
    result = made.loss(predict, batch)
    levels = frame_sigmas(LAYOUT, batch.sigma)[:, None, :, None, None]
    torch.testing.assert_close(seen["xt"], (1 - levels) * batch.x0 + levels * batch.noise)
    assert torch.equal(seen["xt"][:, :, 0], batch.x0[:, :, 0])
    assert torch.equal(seen["sigma"], batch.sigma)
    assert seen["text"] == [3.0, 1.0]
    expected = (batch.noise - batch.x0)[:, :, LAYOUT.target_slice].square().flatten(1).mean(1)
    torch.testing.assert_close(result.per_sample, expected)


def test_condition_and_buffer_outputs_get_no_gradient():
    made = objective()
    batch = made.batch([0, 1], StepGenerators.at(0, 0))
    output = torch.zeros_like(batch.x0, requires_grad=True)
    made.loss(lambda *_: output, batch).per_sample.mean().backward()
    assert output.grad is not None
    assert not output.grad[:, :, : LAYOUT.prefix].any()
    assert output.grad[:, :, LAYOUT.target_slice].all()


def test_per_frame_timesteps_are_the_levels_themselves():
    seen = []
    made = objective(TrainConfig(per_frame_timesteps=True))
    batch = made.batch([0, 1], StepGenerators.at(0, 0))
    made.loss(lambda xt, sigma, _: seen.append(sigma) or xt, batch)
    assert torch.equal(seen[0], frame_sigmas(LAYOUT, batch.sigma))


def test_caption_dropout_gives_the_empty_caption_and_leaves_noise_and_level_alone():
    plain = objective().batch([0, 1], StepGenerators.at(0, 0))
    lost = objective(TrainConfig(caption_dropout=1.0)).batch([0, 1], StepGenerators.at(0, 0))
    assert [float(c["cross_attn"]) for c in lost.conditioning] == [0.0, 0.0]
    assert torch.equal(plain.noise, lost.noise)
    assert torch.equal(plain.sigma, lost.sigma)


def test_the_loss_falls_on_a_network_of_one_matrix():
    config = TrainConfig(steps=150, batch_size=3, learning_rate=0.02)
    made = objective(config, clips=1)
    weight = torch.nn.Parameter(torch.zeros(2, 2))

    def predict(xt, sigma, _):
        s = sigma[:, None, None, None, None]
        return torch.einsum("oc,bcthw->bothw", weight, xt - (1 - s) * made.x0[0]) / s

    losses = train(made, predict, [weight], config).losses
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])


def test_validation_is_the_same_every_time_and_takes_no_gradient():
    made = objective()
    weight = torch.nn.Parameter(torch.ones(1))
    first, second = (validation_losses(made, lambda xt, *_: xt * weight, "cpu") for _ in range(2))
    assert first == second
    assert first["mean"] > 0
    assert weight.grad is None


def test_settings_come_back_from_a_files_metadata():
    record = from_metadata(to_metadata(objective().metadata()))
    assert settings_from_record(record) == ticft_settings("image to video", LAYOUT)
    assert settings_from_record({}) is None
    sized = objective(dataset=replace(pairs(8), fps=12.5)).metadata()
    settings = settings_from_record(from_metadata(to_metadata(sized)))
    assert settings == {**ticft_settings("image to video", LAYOUT), "width": 16, "height": 16, "fps": 12.5}
    with pytest.raises(ValueError, match="damaged"):
        settings_from_record({**record, "buffer_levels": "["})


def test_latents_of_mixed_channels_or_wrong_length_are_refused():
    config, recipe = TrainConfig(), TicftRecipe("custom", LAYOUT)
    with pytest.raises(ValueError, match="share one number of latent channels, got 2, 3; encode all with one VAE"):
        TicftObjective([torch.zeros(2, 6, 2, 2), torch.zeros(3, 6, 2, 2)], [{}, {}], {}, recipe, config)
    with pytest.raises(ValueError, match="5 latent frames, the layout needs 6"):
        TicftObjective([torch.zeros(2, 5, 2, 2)], [{}], {}, recipe, config)
    with pytest.raises(ValueError, match="got no clips"):
        TicftObjective([], [], {}, recipe, config)
