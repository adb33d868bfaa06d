"""TIC-FT training in the host over clips of several sizes and lengths."""

from __future__ import annotations

import json

import pytest
import torch
from clip_pairs import mixed_pairs
from tic_ft_runs import train

from pack.nodes.host.model import loras
from pack.nodes.host.session import session as training
from pack.training.core.config import TrainConfig
from pack.training.lora.metadata import from_metadata


@pytest.fixture
def shapes(monkeypatch) -> list[tuple[int, ...]]:
    """Shapes of the latents that the network sees while it trains."""
    seen, call = [], training.HostPredictor.__call__

    def watched(self, xt, sigma, conditioning):
        if torch.is_grad_enabled():
            seen.append(tuple(xt.shape))
        return call(self, xt, sigma, conditioning)

    monkeypatch.setattr(training.HostPredictor, "__call__", watched)
    return seen


def test_every_bucket_is_trained_on_and_none_is_mixed_pairs(model, shapes):
    lora, loss, steps, _, settings = train(model, "buckets", encoded=mixed_pairs(), steps=10, batch_size=2)
    assert len(loss["loss"]) == steps == 10
    assert set(shapes) == {(2, 16, 6, 4, 4), (2, 16, 6, 4, 8), (2, 16, 7, 4, 4)}
    assert settings["target_latents"] == 2
    assert [bucket["clips"] for bucket in settings["buckets"]] == [3, 1, 1]
    assert loras.ticft_settings_of(lora, "buckets") == settings
    assert json.loads(from_metadata(lora.metadata)["buckets"]) == settings["buckets"]


def test_steps_that_follow_other_steps_are_those_of_one_run(model, shapes):
    runs = [train(model, f"again {i}", encoded=mixed_pairs(), steps=6, batch_size=2) for i in range(2)]
    assert runs[0][1] == runs[1][1]
    assert shapes[:6] == shapes[6:]
    assert all(torch.equal(runs[0][0][name], runs[1][0][name]) for name in runs[0][0])


def test_a_gradient_of_several_batches_may_be_of_several_buckets(model, shapes):
    train(model, "sums", encoded=mixed_pairs(), steps=3, batch_size=1, settings=TrainConfig(accumulation=4))
    assert len(shapes) == 12
    assert len(set(shapes)) == 3


def test_held_out_clips_may_have_buckets_too(model):
    lora = train(model, "held out", encoded=mixed_pairs(), steps=2, validation=mixed_pairs(seed=9))[0]
    assert float(from_metadata(lora.metadata)["validation_loss_before"]) > 0
