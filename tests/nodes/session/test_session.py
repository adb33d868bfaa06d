"""The model while it trains: kernels that have a backward pass, numbers in which gradients survive."""

from __future__ import annotations

from typing import Any

import comfy.ldm.modules.attention as attention
import comfy.ldm.wan.model
import comfy.model_management
import pytest
import tiny_wan
import torch
from tic_ft_runs import probe, train

from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.session import session as training


@pytest.fixture
def half_model(model) -> Any:
    """The same, computing in fp16."""
    model.set_model_compute_dtype(torch.float16)
    comfy.model_management.load_models_gpu([model])
    assert model.model.get_dtype_inference() == torch.float16
    return model


def choose_attention_without_backward(monkeypatch) -> None:
    """The host was started with an attention kernel that autograd cannot follow."""

    @attention.wrap_attn
    def kernel(*args: Any, **kwargs: Any) -> torch.Tensor:
        return attention.attention_pytorch(*args, **kwargs).detach()

    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention", kernel)


def test_training_does_not_use_the_hosts_chosen_attention(model, monkeypatch):
    first = train(model, "attention")[0]
    choose_attention_without_backward(monkeypatch)
    second = train(model, "attention without backward")[0]
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(value.any() for key, value in second.items() if "lora_up" in key)


def test_attention_without_a_backward_pass_is_refused_before_anything_is_learned(model, monkeypatch):
    choose_attention_without_backward(monkeypatch)
    monkeypatch.setattr(training, "differentiable_attention", lambda chosen, *args, **kwargs: chosen(*args, **kwargs))
    with pytest.raises(RuntimeError, match="does not reach 24 of 32 trained tensors"):
        train(model, "nonsense")
    assert not LORA.files("nonsense").exists()


def test_a_half_precision_model_learns_with_a_scaled_loss_where_there_is_no_bf16(half_model, monkeypatch, caplog):
    scales = []
    note_scales(monkeypatch, scales)
    with caplog.at_level("INFO", logger="pack"):
        lora = train(half_model, "half scaled")[0]
    assert scales == [2.0**14]
    assert "the loss is scaled by 16384" in caplog.text
    assert all(value.any() for key, value in lora.items() if "lora_up" in key)


def test_a_half_precision_model_is_trained_in_bf16_where_there_is_one(half_model, monkeypatch, caplog):
    monkeypatch.setattr(comfy.model_management, "should_use_bf16", lambda *_args, **_kwargs: True)
    xt, sigma, context = (value.half() for value in probe())
    before = tiny_wan.velocity_of(half_model, xt, sigma, context)
    seen, scales, predict = [], [], training.HostPredictor.__call__
    note_scales(monkeypatch, scales)

    def look(self, *args):
        seen.append(self.base.get_dtype_inference())
        return predict(self, *args)

    monkeypatch.setattr(training.HostPredictor, "__call__", look)
    with caplog.at_level("INFO", logger="pack"):
        lora = train(half_model, "half in bf16")[0]
    assert set(seen) == {torch.bfloat16}
    assert scales == [1.0]
    assert "it is trained in bf16" in caplog.text
    assert all(value.any() for key, value in lora.items() if "lora_up" in key)
    assert torch.equal(tiny_wan.velocity_of(half_model, xt, sigma, context), before)
    assert half_model.model.get_dtype_inference() == torch.float16


def note_scales(monkeypatch, scales: list[float]) -> None:
    """Note the scale each run's trainer is given."""
    from pack.nodes.host.runs import attempts as run_attempts

    class Noting(run_attempts.Trainer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            scales.append(self.loss_scale)

    monkeypatch.setattr(run_attempts, "Trainer", Noting)
