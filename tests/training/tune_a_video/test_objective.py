"""Tune-A-Video training: what is noised, what is learned, and what is drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pack.methods.ddpm import DdpmProcess, NoisePrediction
from pack.training.core.batches import StepGenerators, batch_indices
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train
from pack.training.tune_a_video.objective import PUBLISHED, Clips, Prior, TuneAVideoObjective
from pack.training.tune_a_video.recipe import RANDOM, RANDOM_START, FrameWindow

ALPHAS = torch.linspace(0.999, 0.005, 1000).double()  # cumulative
SIGMAS = ((1 - ALPHAS) / ALPHAS).sqrt().float()
EMPTY = {"cross_attn": torch.zeros(1, 1)}


def clips(*frames: int, seed: int = 0, size: int = 2) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    latents = [torch.randn(3, count, size, size, generator=generator) for count in frames]
    return Clips(latents, [{"cross_attn": torch.full((1, 1), float(i + 1 + 10 * seed))} for i in range(len(frames))])


def objective(own: Clips | None = None, **values: Any) -> TuneAVideoObjective:
    values = {"window": FrameWindow(0), "process": NoisePrediction(SIGMAS), **values}
    return TuneAVideoObjective(own or clips(4), EMPTY, **values)


class Seen:
    """A predictor that answers zero and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor, Any]] = []

    def __call__(self, xt: Tensor, sigma: Tensor, conditioning: Any) -> Tensor:
        self.calls.append((xt, sigma, conditioning))
        return torch.zeros_like(xt)


@pytest.mark.parametrize("velocity", [False, True])
def test_the_loss_is_the_mean_square_over_all_frames_at_one_timestep(velocity):
    ours = objective(process=DdpmProcess(SIGMAS) if velocity else NoisePrediction(SIGMAS))
    batch = ours.batch([0], StepGenerators.at(1, 2))
    predict = Seen()
    loss = ours.loss(predict, batch)
    ((xt, sigma, conditioning),) = predict.calls
    timestep = int((float(batch.clips.sigma) * 1000 - 1e-9) // 1)
    a = ALPHAS[timestep].float()
    x0, noise = batch.clips.x0, batch.clips.noise
    torch.testing.assert_close(xt, a.sqrt() * x0 + (1 - a).sqrt() * noise, rtol=1e-4, atol=1e-5)
    assert sigma.tolist() == [float(SIGMAS[timestep])]
    target = a.sqrt() * noise - (1 - a).sqrt() * x0 if velocity else noise
    torch.testing.assert_close(loss.per_sample, target.square().mean()[None], rtol=1e-4, atol=1e-5)
    assert conditioning == [ours.clips.conditioning[0]]
    assert torch.equal(loss.sigma, batch.clips.sigma)


def test_timesteps_are_drawn_evenly_from_all_of_them():
    ours = objective()
    levels = torch.cat([ours.batch([0], StepGenerators.at(0, step)).clips.sigma for step in range(4000)])
    timesteps = (ours.process.sigma_at(levels)[:, None] == SIGMAS).int().argmax(1)
    assert 0 <= int(timesteps.min()) < 5
    assert 994 < int(timesteps.max()) <= 999
    counts = torch.histc(timesteps.float(), 10, 0, 1000)
    assert float((counts / 400 - 1).abs().max()) < 0.2


def test_a_batch_depends_on_seed_and_step_alone():
    ours = objective(clips(9), window=FrameWindow(3, 2, 0, RANDOM), prior=Prior(clips(1, 2, seed=1)))
    first, again = (ours.batch([0], StepGenerators.at(3, 7)) for _ in range(2))
    for one, two in ((first.clips, again.clips), (first.prior, again.prior)):
        assert torch.equal(one.x0, two.x0)
        assert torch.equal(one.noise, two.noise)
        assert torch.equal(one.sigma, two.sigma)
    for other in (StepGenerators.at(3, 8), StepGenerators.at(4, 7)):
        assert not torch.equal(ours.batch([0], other).clips.noise, first.clips.noise)


def test_windows_dropout_and_prior_change_neither_noise_nor_levels_of_the_clip():
    def batch(**values: Any) -> Any:
        return objective(clips(9), **{"window": FrameWindow(3), **values}).batch([0], StepGenerators.at(5, 6)).clips

    plain = batch()
    dropping = replace(PUBLISHED, caption_dropout=1.0)
    for other in (
        batch(window=FrameWindow(3, 2, 0, RANDOM)), batch(prior=Prior(clips(2, seed=1))), batch(config=dropping)
    ):  # fmt: skip
        assert torch.equal(other.noise, plain.noise)
        assert torch.equal(other.sigma, plain.sigma)
    assert batch(config=dropping).conditioning == [EMPTY]
    moved = batch(window=FrameWindow(3, 1, 0, RANDOM_START))
    with_prior = batch(window=FrameWindow(3, 1, 0, RANDOM_START), prior=Prior(clips(2, seed=1)))
    assert torch.equal(moved.x0, with_prior.x0)


def test_a_window_moves_over_the_clip_from_step_to_step():
    ours = objective(clips(9), window=FrameWindow(3, 1, 0, RANDOM_START))
    whole = ours.clips.latents[0]
    starts = set()
    for step in range(60):
        x0 = ours.batch([0], StepGenerators.at(0, step)).clips.x0[0]
        starts |= {i for i in range(7) if torch.equal(whole[:, i : i + 3], x0)}
    assert starts == set(range(7))


def test_the_prior_is_a_clip_of_its_own_whose_loss_is_added_with_its_weight():
    own, other = clips(4), clips(1, 2, seed=1)
    ours = objective(own, prior=Prior(other, 0.5))
    chosen = set()
    for step in range(20):
        batch, predict = ours.batch([0], StepGenerators.at(0, step)), Seen()
        loss = ours.loss(predict, batch).per_sample
        (_, _, caption), (_, _, prior_caption) = predict.calls
        assert caption == [own.conditioning[0]]
        chosen |= {i for i in range(2) if prior_caption == [other.conditioning[i]]}
        expected = batch.clips.noise.square().mean() + 0.5 * batch.prior.noise.square().mean()
        torch.testing.assert_close(loss, expected[None])
        assert batch.prior.sigma != batch.clips.sigma
    assert chosen == {0, 1}


def test_several_clips_take_turns_and_are_not_mixed_with_others_of_another_length():
    ours = objective(clips(4, 6, 4))
    assert ours.size == 3
    assert ours.groups == ((0, 2), (1,))
    steps = [batch_indices(0, step, ours.size, 2, ours.groups) for step in range(12)]
    assert {i for step in steps for i in step} == {0, 1, 2}
    assert all(ours.batch(step, StepGenerators.at(0, 0)).clips.x0.shape[0] == 2 for step in steps)


def test_previews_see_the_frames_of_the_first_window():
    ours = objective(clips(9), window=FrameWindow(3, 2, 0, RANDOM))
    assert torch.equal(ours.x0[0], ours.clips.latents[0][:, 0:5:2])
    assert (ours.layout.prefix, ours.layout.target) == (0, 3)
    assert ours.conditioning == ours.clips.conditioning


def test_a_predictor_learns_the_noise_of_a_clip():
    weight = torch.nn.Parameter(torch.zeros(3, 3))

    def predict(xt: Tensor, _sigma: Tensor, _conditioning: Any) -> Tensor:
        return torch.einsum("oc,bcthw->bothw", weight, xt)

    config = TrainConfig(learning_rate=0.05, steps=60)
    ours = objective(clips(4, size=8), config=config)

    def judged() -> float:
        batches = [ours.batch([0], StepGenerators.at(9, step)) for step in range(50)]
        return sum(ours.loss(predict, batch).per_sample.item() for batch in batches) / len(batches)

    before = judged()
    train(ours, predict, [weight], config)
    assert judged() < 0.75 * before


def test_the_published_settings_are_those_of_the_paper():
    wanted = (3e-5, 500, 1, 1e-2, (0.9, 0.999), 1.0, "constant", 0, "uniform", "adamw", 0.0)
    ours = PUBLISHED
    assert wanted == (
        ours.learning_rate, ours.steps, ours.batch_size, ours.weight_decay, ours.betas, ours.max_grad_norm,
        ours.lr_schedule, ours.warmup_steps, ours.density, ours.optimizer, ours.caption_dropout,
    )  # fmt: skip


def test_metadata_say_the_method_and_its_settings():
    found = objective(settings={"frames": 24, "captions": ["a ball"]}).metadata()
    assert {key: json.loads(value) for key, value in found.items()} == {
        "method": "tune_a_video", "frames": 24, "captions": ["a ball"],
    }  # fmt: skip


def test_clips_that_cannot_be_tuned_on_are_refused():
    with pytest.raises(ValueError, match="no clips; Tune-A-Video needs one, add a clip"):
        Clips([], [])
    with pytest.raises(ValueError, match=r"have \[3, 4\] channels; encode all with one VAE"):
        Clips([torch.zeros(3, 1, 1, 1), torch.zeros(4, 1, 1, 1)], [EMPTY, EMPTY])
