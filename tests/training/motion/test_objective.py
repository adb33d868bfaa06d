"""The second stage of one-shot motion: its three terms, sparse latents, and the numbers of a step."""

from __future__ import annotations

import math

import pytest
import torch

from pack.methods import motion
from pack.methods.ddpm import DdpmProcess
from pack.training.core.batches import StepGenerators
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train
from pack.training.motion.objective import MotionObjective, MotionTerms

PLAIN = MotionTerms(0.0, 0.0)


def objective(*lengths: int, config: TrainConfig | None = None, **values) -> MotionObjective:
    """Clips whose latents tell their own number, of so many latents each."""
    lengths = lengths or (5, 5)
    x0 = [torch.arange(n).float().view(1, n, 1, 1).expand(2, n, 2, 2) + 100 * i for i, n in enumerate(lengths)]
    conditioning = [{"cross_attn": torch.full((1, 1), float(i + 1))} for i in range(len(lengths))]
    empty = {"cross_attn": torch.zeros(1, 1)}
    return MotionObjective(x0, conditioning, empty, config or TrainConfig(), **values)


def target_of(batch) -> torch.Tensor:
    return batch.flow.noise - batch.flow.x0


def test_the_exact_velocity_costs_nothing():
    one = objective()
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    loss = one.loss(lambda *_: target_of(batch), batch).per_sample
    torch.testing.assert_close(loss, torch.zeros(2), atol=1e-6, rtol=0)


def test_the_loss_is_the_weighted_sum_of_three_terms():
    terms = MotionTerms(debiased=2.0, direction=0.5, beta=1.5)
    one = objective(terms=terms)
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    target = target_of(batch)
    prediction = target + torch.randn(target.shape, generator=torch.Generator().manual_seed(5))
    wanted = (
        (prediction - target).square().mean((1, 2, 3, 4))
        + 2.0 * motion.debiased_loss(prediction, target, batch.anchor, 1.5)
        + 0.5 * motion.direction_loss(prediction, target)
    )
    torch.testing.assert_close(one.loss(lambda *_: prediction, batch).per_sample, wanted)


def test_an_error_in_the_look_alone_costs_less_than_one_in_the_motion():
    one = objective(terms=MotionTerms(debiased=1.0, direction=1.0))
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    look = torch.ones(2, 2, 1, 2, 2).expand(2, 2, 5, 2, 2)
    moving = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]).view(1, 1, 5, 1, 1) * look  # of the same size
    costs = [one.loss(lambda *_, e=e: target_of(batch) + e, batch).per_sample for e in (look, moving)]
    assert (costs[0] < costs[1]).all()
    assert costs[0].tolist() == pytest.approx([1 + (math.sqrt(2) - 1) ** 2] * 2, abs=1e-5)


def test_without_weights_it_is_the_plain_loss():
    one = objective(terms=PLAIN)
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    assert one.loss(lambda *_: target_of(batch) + 2.0, batch).per_sample.tolist() == pytest.approx([4.0, 4.0])


def test_a_velocity_of_discrete_timesteps_is_predicted_in_its_own_form():
    process = DdpmProcess(torch.linspace(0.1, 20.0, 100))
    one = objective(process=process)
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    s = process.sigma_at(batch.flow.sigma).view(2, 1, 1, 1, 1)
    exact = (batch.flow.noise - s * batch.flow.x0) / (1 + s * s).sqrt()

    def predict(xt, sigma, _):
        torch.testing.assert_close(xt, (batch.flow.x0 + s * batch.flow.noise) / (1 + s * s).sqrt())
        assert torch.equal(sigma, s.flatten())
        return exact

    torch.testing.assert_close(one.loss(predict, batch).per_sample, torch.zeros(2), atol=1e-6, rtol=0)


def test_anchors_are_frames_of_the_clip_and_all_of_them_in_time():
    one = objective()
    seen = {int(a) for step in range(60) for a in one.batch([0, 1], StepGenerators.at(0, step)).anchor}
    assert seen == set(range(5))


def test_a_step_is_a_function_of_its_seed_and_number():
    one, other = objective(9, 9, terms=PLAIN, stride=2), objective(9, 9, stride=2)
    first, second = (o.batch([0, 1], StepGenerators.at(4, 2)) for o in (one, other))
    assert torch.equal(first.flow.x0, second.flow.x0)
    assert torch.equal(first.flow.noise, second.flow.noise)
    assert torch.equal(first.anchor, second.anchor)


def test_the_noise_is_that_of_a_run_without_sparse_latents():
    whole, sparse = objective(5, 5), objective(10, 10, stride=2)
    noises = [o.batch([0, 1], StepGenerators.at(4, 2)).flow.noise for o in (whole, sparse)]
    assert torch.equal(*noises)


def test_sparse_latents_are_evenly_spaced_and_begin_anywhere():
    one = objective(10, stride=4)
    starts = set()
    for step in range(60):
        numbers = one.batch([0], StepGenerators.at(0, step)).flow.x0[0, 0, :, 0, 0]
        starts.add(int(numbers[0]))
        assert numbers.diff().tolist() == [4.0, 4.0]
    assert starts == {0, 1}  # 10 latents hold 1, 5, 9 too
    assert one.x0[0][0, :, 0, 0].tolist() == [0.0, 4.0, 8.0]  # what previews show


def test_clips_of_several_lengths_are_never_in_one_batch():
    one = objective(9, 10, 9, stride=2)  # sparse, both have 5 latents
    assert one.groups == ((0, 2), (1,))
    with pytest.raises(ValueError, match="several buckets"):
        objective(9, 11).batch([0, 1], StepGenerators.at(0, 0))


def test_high_noise_levels_are_drawn_as_the_settings_say():
    one = objective(config=TrainConfig(density="high_noise", sigma_low=0.5))
    sigmas = torch.cat([one.batch([0, 1], StepGenerators.at(0, step)).flow.sigma for step in range(50)])
    assert sigmas.min() >= 0.5


def test_the_loop_learns_a_motion_from_it():
    frames = torch.nn.Parameter(torch.zeros(5))
    one = objective(5, config=TrainConfig(learning_rate=0.1, steps=120, weight_decay=0.0))

    def predict(_xt, sigma, _):
        return -frames.view(1, 1, 5, 1, 1).expand(len(sigma), 2, 5, 2, 2)

    train(one, predict, [frames], one.config)
    torch.testing.assert_close(frames.detach(), torch.arange(5.0), atol=0.5, rtol=0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: MotionTerms(debiased=-1.0), "the debiased weight is -1.0"),
        (lambda: MotionTerms(direction=math.nan), "the direction weight is nan"),
        (lambda: MotionTerms(beta=math.inf), "the beta weight is inf"),
        (lambda: objective(1), "a clip of 1 latents one in 1 is shown"),
        (lambda: objective(9, 4, stride=4), "a clip of 4 latents one in 4 is shown"),
    ],
)
def test_what_cannot_teach_a_motion_is_refused_in_one_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
