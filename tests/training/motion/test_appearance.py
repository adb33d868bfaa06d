"""The first stage of one-shot motion: single frames in no order, learned as the network was."""

from __future__ import annotations

import pytest
import torch

from pack.methods.ddpm import DdpmProcess
from pack.training.core.batches import StepGenerators
from pack.training.core.config import TrainConfig
from pack.training.lora.metadata import from_metadata, to_metadata
from pack.training.motion.appearance import AppearanceObjective


def objective(config: TrainConfig | None = None, **values) -> AppearanceObjective:
    generator = torch.Generator().manual_seed(0)
    x0 = [torch.randn(2, 1, 4, 4, generator=generator) for _ in range(5)]
    conditioning = [{"cross_attn": torch.full((1, 1), float(i + 1))} for i in range(5)]
    return AppearanceObjective(x0, conditioning, {"cross_attn": torch.zeros(1, 1)}, config or TrainConfig(), **values)


def test_every_frame_is_an_item_of_one_latent_in_the_batch():
    one = objective()
    batch = one.batch([3, 0], StepGenerators.at(1, 0))
    assert one.size == 5
    assert batch.x0.shape == (2, 2, 1, 4, 4)
    assert torch.equal(batch.x0[0], one.x0[3])
    assert [float(c["cross_attn"]) for c in batch.conditioning] == [4.0, 1.0]


def test_a_step_is_a_function_of_its_seed_and_number():
    one, other = objective(), objective()
    first, second = (o.batch([1, 2], StepGenerators.at(7, 3)) for o in (one, other))
    assert torch.equal(first.noise, second.noise)
    assert torch.equal(first.sigma, second.sigma)
    assert not torch.equal(first.noise, one.batch([1, 2], StepGenerators.at(7, 4)).noise)


def test_the_loss_is_0_for_the_flow_velocity_and_1_beside_it():
    one = objective()
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    seen = {}

    def exact(xt, sigma, _):
        seen.update(xt=xt, sigma=sigma)
        return batch.noise - batch.x0

    assert one.loss(exact, batch).per_sample.tolist() == pytest.approx([0.0, 0.0])
    s = batch.sigma.view(2, 1, 1, 1, 1)
    torch.testing.assert_close(seen["xt"], (1 - s) * batch.x0 + s * batch.noise)
    assert one.loss(lambda *_: exact(*_) + 1, batch).per_sample.tolist() == pytest.approx([1.0, 1.0])


def test_a_network_of_discrete_timesteps_gets_its_own_input_and_target():
    process = DdpmProcess(torch.linspace(0.1, 20.0, 100))
    one = objective(process=process)
    batch = one.batch([0, 1], StepGenerators.at(0, 0))
    seen = {}

    def exact(xt, sigma, _):
        seen.update(sigma=sigma)
        s = sigma.view(2, 1, 1, 1, 1)
        torch.testing.assert_close(xt, (batch.x0 + s * batch.noise) / (1 + s * s).sqrt())
        return (batch.noise - s * batch.x0) / (1 + s * s).sqrt()

    assert one.loss(exact, batch).per_sample.tolist() == pytest.approx([0.0, 0.0])
    assert torch.equal(seen["sigma"], process.sigma_at(batch.sigma))


def test_dropped_captions_are_the_empty_one():
    one = objective(TrainConfig(caption_dropout=1.0))
    assert all(float(c["cross_attn"]) == 0.0 for c in one.batch([0, 4], StepGenerators.at(0, 0)).conditioning)


def test_the_file_says_which_stage_made_it():
    record = from_metadata(to_metadata(objective(settings={"width": 16}).metadata()))
    assert (record["method"], record["width"]) == ('"appearance"', "16")


def test_frames_that_cannot_be_stacked_are_refused():
    captions = [{"cross_attn": torch.zeros(1, 1)}] * 2
    with pytest.raises(ValueError, match="has no clips"):
        AppearanceObjective([], [], captions[0], TrainConfig())
    x0 = [torch.zeros(2, 1, 4, 4), torch.zeros(3, 1, 4, 4)]
    with pytest.raises(ValueError, match="differ in channels"):
        AppearanceObjective(x0, captions, captions[0], TrainConfig())
    sizes = AppearanceObjective(
        [torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 6)], captions, captions[0], TrainConfig()
    )
    assert sizes.groups == ((0,), (1,))
    with pytest.raises(ValueError, match="several buckets"):
        sizes.batch([0, 1], StepGenerators.at(0, 0))
