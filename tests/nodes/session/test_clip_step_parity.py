"""One training step of Tune-A-Video equals our own oracle's: loss and gradients, on the same random weights."""

from __future__ import annotations

import math
from typing import Any

import comfy.utils
import pytest
import tiny_unet
import torch
from diffusers_tune_a_video import Oracle
from tiny_unet import CONFIG, text
from torch import Tensor
from tuned_models import tuned_of

from pack.methods.tune_a_video import PER_FRAME, POOLED
from pack.nodes.host.model.image_model import image_model
from pack.nodes.host.session.clip import Form, clip_session
from pack.training.core.batches import StepGenerators
from pack.training.core.config import CHECKPOINTING, TrainConfig
from pack.training.tune_a_video.objective import Clips, Prior, TuneAVideoObjective, TuningBatch
from pack.training.tune_a_video.recipe import FrameWindow

TEXTS = [text(1), text(2)]
CASES = [
    ("SD15", False, 1, PER_FRAME), ("SD15", False, 8, PER_FRAME), ("SD20", True, 1, PER_FRAME),
    ("SD20", True, 8, PER_FRAME), ("SD15", True, 8, PER_FRAME), ("SD20", False, 8, POOLED),
    ("SD15", False, 8, POOLED), ("SD15", False, 24, PER_FRAME),
]  # fmt: skip


def objective_of(model: Any, frames: int, clips: int = 1, **values: Any) -> TuneAVideoObjective:
    latents = [tiny_unet.clip(frames, 20 + i).transpose(0, 1) for i in range(clips)]
    captions = [{"cross_attn": TEXTS[i][0]} for i in range(clips)]
    return TuneAVideoObjective(
        Clips(latents, captions),
        {"cross_attn": text(9)[0]},
        image_model(model).process,
        window=FrameWindow(frames=0),
        **values,
    )


def our_step(model: Any, objective: Any, form: Form, config: TrainConfig | None = None) -> tuple:
    """Loss, gradients by name, and the batch, of step 3 with layers that add something."""
    config = config or TrainConfig()
    tuned = tuned_of(model)
    with torch.inference_mode(), clip_session(image_model(model), config, form) as session:
        session.trained.temporal.load(tuned.temporal)
        for name, layer in session.trained.queries.by_name.items():
            layer.delta.data.copy_(tuned.queries[name])
        batch: TuningBatch = objective.batch(range(objective.size), StepGenerators.at(4, 3))
        loss = objective.loss(session.predict, batch).per_sample.mean()
        loss.backward()
        gradients = {}
        for name, value in session.trained.temporal.weights().items():
            gradients[f"temporal.{name}"] = value.grad
        for name, layer in session.trained.queries.by_name.items():
            gradients[f"queries.{name}"] = layer.delta.grad
    return loss.detach(), gradients, batch


def oracle_step(model: Any, kind: str, norms: str, velocity: bool, batch: Any, i: int) -> tuple:
    tuned = tuned_of(model)
    weights = {name: value.clone() for name, value in model.model.diffusion_model.state_dict().items()}
    for name, delta in tuned.queries.items():
        weights[f"{name}.weight"] += delta
    oracle = Oracle(weights, comfy.utils.unet_to_diffusers(CONFIG), tuned.temporal, norms == POOLED, kind)
    timestep = math.ceil(float(batch.sigma[i]) * 1000) - 1
    x0, noise = (value[i].transpose(0, 1) for value in (batch.x0, batch.noise))
    prediction = "v_prediction" if velocity else "epsilon"
    return oracle.training_step(x0, noise, timestep, batch.conditioning[i]["cross_attn"][None], prediction)


def close(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(
            gradient, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(("kind", "velocity", "frames", "norms"), CASES)
def test_loss_and_gradients_of_a_step_are_those_of_the_oracle(kind, velocity, frames, norms):
    model = tiny_unet.fresh_unet(velocity=velocity, kind=kind)
    loss, gradients, batch = our_step(model, objective_of(model, frames), Form(group_norms=norms))
    expected, theirs = oracle_step(model, kind, norms, velocity, batch.clips, 0)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    close(gradients, theirs)
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    assert largest > 1e-3  # else the tolerance would pass anything


@pytest.mark.parametrize("checkpointing", CHECKPOINTING)
def test_checkpointing_changes_no_number(checkpointing):
    model = tiny_unet.fresh_unet()
    objective, form = objective_of(model, 3), Form(group_norms=POOLED)
    loss, gradients, _ = our_step(model, objective, form)
    again, others, _ = our_step(model, objective, form, TrainConfig(checkpointing=checkpointing))
    assert torch.equal(loss, again)
    assert all(torch.equal(gradient, others[name]) for name, gradient in gradients.items())


def test_clips_of_a_batch_do_not_see_each_other_and_the_prior_counts_as_it_is_weighed():
    model = tiny_unet.fresh_unet()
    prior = Clips([tiny_unet.clip(1, 30).transpose(0, 1)], [{"cross_attn": text(5)[0]}])
    objective = objective_of(model, 3, clips=2, prior=Prior(prior, 0.25))
    loss, gradients, batch = our_step(model, objective, Form())
    parts = [(batch.clips, 0, 0.5), (batch.clips, 1, 0.5), (batch.prior, 0, 0.25)]
    steps = [oracle_step(model, "SD15", PER_FRAME, False, part, i) for part, i, _ in parts]
    weights = [weight for *_, weight in parts]
    torch.testing.assert_close(
        loss, sum(w * own for w, (own, _) in zip(weights, steps, strict=True)), rtol=0, atol=1e-5
    )
    theirs = {name: sum(w * g[name] for w, (_, g) in zip(weights, steps, strict=True)) for name in gradients}
    close(gradients, theirs)
