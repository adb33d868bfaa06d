"""AICL while it trains: who gets gradients, what a step is, and that every sample reads its own references."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import comfy.model_management
import pytest
import tiny_aicl
import torch
from aicl_runs import objective_of, stirred

from pack.methods.aicl import DropRates
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.aicl import aicl_session
from pack.training.aicl.objective import AiclObjective
from pack.training.aicl.reading import split_reading
from pack.training.aicl.validation import WITHOUT_NAME, WRONG_NAME, reference_losses
from pack.training.core.batches import FlowBatch, StepGenerators, batch_indices
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train

NAMES = ("Wan 2.1", "CogVideoX 5B", "CogVideoX 1.5", "Wan 2.2 5B", *tiny_aicl.NEW)
KEEP = DropRates(0.0, 0.0, 0.0)
CLOSE = {"atol": 2e-5, "rtol": 2e-4}


def model_of(name: str) -> Any:
    return repaired(tiny_aicl.model_of(name))


def step_of(objective: Any, config: TrainConfig, step: int = 0) -> FlowBatch:
    """The batch that the trainer would take in a step."""
    indices = batch_indices(config.seed, step, objective.size, config.batch_size, objective.groups)
    return objective.batch(indices, StepGenerators.at(config.seed, step))


def gradients_of(session: Any, objective: Any, batch: FlowBatch, scale: float = 1.0) -> tuple[torch.Tensor, list[Any]]:
    for parameter in session.trained.parameters():
        parameter.grad = None
    losses = objective.loss(session.predict, batch).per_sample
    (scale * losses.mean()).backward()
    gradients = [parameter.grad for parameter in session.trained.parameters()]
    return losses.detach(), gradients if scale == 1.0 else [gradient / scale for gradient in gradients]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_trained_tensor_and_nothing_else(name):
    config = TrainConfig(batch_size=2)
    objective = objective_of(name, config, drops=KEEP)
    model = model_of(name)
    with aicl_session(video_model(model), config, objective) as session:
        stirred(session.trained)
        _, gradients = gradients_of(session, objective, step_of(objective, config))
        assert [n for n, g in zip(session.trained.names, gradients, strict=True) if g is None or not g.any()] == []
        assert all(parameter.grad is None for parameter in model.model.diffusion_model.parameters())
        assert not any(parameter.requires_grad for parameter in model.model.diffusion_model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_dropped_references_give_the_base_s_loss_and_still_reach_every_tensor(name):
    config = TrainConfig(batch_size=2)
    with_, without = objective_of(name, config, drops=KEEP), objective_of(name, config, drops=DropRates(0, 1, 0))
    with aicl_session(video_model(model_of(name)), config, with_) as session:
        base = with_.loss(session.predict, step_of(with_, config)).per_sample.detach()  # a fresh adapter adds nothing
        stirred(session.trained)
        assert not torch.allclose(with_.loss(session.predict, step_of(with_, config)).per_sample, base)
        losses, gradients = gradients_of(session, without, step_of(without, config))
        assert torch.equal(losses, base)
        assert all(gradient is not None and not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_of_a_batch_reads_its_own_references(name):
    config = TrainConfig(batch_size=3, seed=2)
    objective = objective_of(name, config, clips=6, drops=DropRates(0.0, 0.4, 0.0))
    with aicl_session(video_model(model_of(name)), config, objective) as session:
        stirred(session.trained)
        batch = step_of(objective, config, 2)
        read = {bool(conditioning["aicl_read"]) for conditioning in batch.conditioning}
        counts = {sum("latents" in key for key in conditioning) for conditioning in batch.conditioning}
        assert read == {True, False}
        assert counts == {1, 2}
        together, gradients = gradients_of(session, objective, batch)
        alone, total = [], [torch.zeros_like(gradient) for gradient in gradients]
        for i in range(3):
            rows = slice(i, i + 1)
            one = FlowBatch(batch.x0[rows], batch.noise[rows], batch.sigma[rows], batch.conditioning[rows])
            loss, parts = gradients_of(session, objective, one)
            alone.append(loss)
            total = [whole + part / 3 for whole, part in zip(total, parts, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), **CLOSE)
    for whole, part in zip(gradients, total, strict=True):
        torch.testing.assert_close(whole, part, **CLOSE)


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 5B", *tiny_aicl.NEW])
@pytest.mark.parametrize("mode", ["blocks", "blocks, offloaded"])
def test_checkpointing_gives_the_same_gradients(name, mode):
    plain, again = (TrainConfig(batch_size=2, checkpointing=kind) for kind in ("off", mode))
    objective = objective_of(name, plain, drops=KEEP)
    found = []
    for config in (plain, again):
        with aicl_session(video_model(model_of(name)), config, objective) as session:
            stirred(session.trained)
            found.append(gradients_of(session, objective, step_of(objective, config)))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_base_is_bit_for_bit_the_same_afterwards(name):
    config = TrainConfig(learning_rate=0.1)
    objective, model = objective_of(name, config, drops=KEEP), model_of(name)
    begin = tiny_aicl.start(name, frames=4)
    before = tiny_aicl.plain(name, begin)
    weights = {key: value.clone() for key, value in model.model.diffusion_model.state_dict().items()}
    with aicl_session(video_model(model), config, objective) as session:
        stirred(session.trained)
        gradients_of(session, objective, step_of(objective, config))
    after = model.model.diffusion_model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in weights.items())
    assert torch.equal(tiny_aicl.plain(name, begin), before)


def test_an_error_inside_gives_the_model_back():
    config = TrainConfig()
    objective, begin = objective_of("CogVideoX 5B", config), tiny_aicl.start("CogVideoX 5B")
    before = tiny_aicl.plain("CogVideoX 5B", begin)

    def failing() -> None:
        with aicl_session(video_model(model_of("CogVideoX 5B")), config, objective) as session:
            stirred(session.trained)
            gradients_of(session, objective, step_of(objective, config))
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert torch.equal(tiny_aicl.plain("CogVideoX 5B", begin), before)


def test_the_prism_knows_the_references_mean_and_spread():
    objective = objective_of("Wan 2.1", TrainConfig())
    flat = torch.cat([one.variants[0].flatten(1) for one in objective.data.references], dim=1)
    with aicl_session(video_model(model_of("Wan 2.1")), TrainConfig(), objective) as session:
        tensors = session.trained.tensors(torch.bfloat16)
    torch.testing.assert_close(tensors["prism.mean"], flat.mean(1))
    torch.testing.assert_close(tensors["prism.std"], flat.std(1))
    assert tensors["prism.mean"].dtype == torch.float32
    assert tensors["prism.embed.weight"].dtype == torch.bfloat16
    assert len(session.trained) == len(session.trained.names) == len(list(session.trained.parameters()))


def test_the_start_is_a_function_of_the_seed():
    starts = []
    for seed in (3, 3, 4):
        config = TrainConfig(seed=seed)
        with aicl_session(video_model(model_of("Wan 2.1")), config, objective_of("Wan 2.1", config)) as session:
            starts.append(session.trained.tensors(torch.float32))
    assert all(torch.equal(value, starts[1][key]) for key, value in starts[0].items())
    assert not torch.equal(starts[0]["prism.embed.weight"], starts[2]["prism.embed.weight"])


def test_without_references_the_predictor_is_the_base_s():
    config = TrainConfig()
    objective = objective_of("CogVideoX 5B", config, drops=KEEP)
    batch = step_of(objective, config)
    bare = FlowBatch(batch.x0, batch.noise, batch.sigma, [split_reading(one)[0] for one in batch.conditioning])
    with aicl_session(video_model(model_of("CogVideoX 5B")), config, objective) as session, torch.no_grad():
        fresh = objective.loss(session.predict, batch).per_sample
        stirred(session.trained)
        assert torch.equal(objective.loss(session.predict, bare).per_sample, fresh)
        assert not torch.allclose(objective.loss(session.predict, batch).per_sample, fresh)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.bfloat16, 1.0), (torch.float16, 2.0**14)])
def test_the_adapter_learns_in_fp32_whatever_the_base_computes_in(dtype, scale):
    config = TrainConfig(batch_size=2)
    objective, found = objective_of("Wan 2.1", config, drops=KEEP), []
    half = model_of("Wan 2.1").clone()
    half.set_model_compute_dtype(dtype)
    for model in (model_of("Wan 2.1"), half):
        comfy.model_management.load_models_gpu([model])
        with aicl_session(video_model(model), config, objective) as session:
            stirred(session.trained)
            _, gradients = gradients_of(session, objective, step_of(objective, config), session.loss_scale)
            found.append(torch.cat([gradient.flatten() for gradient in gradients]))
            assert session.loss_scale == (scale if model is half else 1.0)
            assert {gradient.dtype for gradient in gradients} == {torch.float32}
    assert torch.cosine_similarity(*found, dim=0) > 0.99


def test_after_training_the_right_reference_is_worth_more_than_a_wrong_one_or_none():
    """Two actions that are told apart by their references alone: clips of the one are the other's with another sign."""
    config = TrainConfig(learning_rate=0.01, steps=60, batch_size=4, density="high_noise", seed=1)
    plain = objective_of("Wan 2.1", config, clips=8, drops=KEEP)
    signs = [(-1.0) ** i for i in range(8)]
    references = [
        replace(one, variants=tuple(sign + 0.1 * variant for variant in one.variants))
        for sign, one in zip(signs, plain.data.references, strict=True)
    ]
    data = replace(plain.data, x0=[plain.x0[0] * sign for sign in signs], references=references)
    objective = AiclObjective(data, plain.aicl, config)
    with aicl_session(video_model(model_of("Wan 2.1")), config, objective) as session:
        before = reference_losses(objective, session.predict, session.device)
        train(objective, session.predict, session.trained.parameters(), config)
        after = reference_losses(objective, session.predict, session.device)
    assert before["mean"] == before[WRONG_NAME] == before[WITHOUT_NAME] == after[WITHOUT_NAME]
    assert after["mean"] < 0.8 * after[WITHOUT_NAME]
    assert after["mean"] < 0.9 * after[WRONG_NAME]
