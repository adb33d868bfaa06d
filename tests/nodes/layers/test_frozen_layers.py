"""Layers whose weights the host casts at each call: the same gradients, and no cast copy is kept."""

from __future__ import annotations

from typing import Any

import packed_layers
import pytest
import tiny_wan
import torch
from tiny_families import WAN
from torch import nn
from training_steps import loss_and_gradients, objective_of

from pack.nodes.host.layers import frozen_layers
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session import session as training
from pack.nodes.host.session.session import training_session
from pack.training.core.config import TrainConfig

CONFIG = TrainConfig(rank=4, batch_size=2)


@pytest.fixture
def fp8(tmp_path) -> Any:
    """A model with plain fp8 weights, which the host casts to fp32 at each call."""
    import comfy.sd

    path = tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors")
    with torch.inference_mode():
        model = comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float8_e4m3fn})
    assert model.model.diffusion_model.blocks[0].ffn[0].weight.dtype == torch.float8_e4m3fn
    return model


def run(model: Any) -> tuple[torch.Tensor, list[torch.Tensor], set[int]]:
    """Loss, gradients and the sizes of what is kept for the backward pass."""
    with torch.inference_mode(), training_session(video_model(model), CONFIG) as session:
        sizes: set[tuple[int, ...]] = set()

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes.add(tuple(tensor.shape))
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return *loss_and_gradients(session, objective_of(WAN, CONFIG, size=6), CONFIG), sizes


def without(monkeypatch, model: Any) -> tuple:
    """The same with autograd left to itself."""
    with monkeypatch.context() as patch:
        patch.setattr(frozen_layers, "is_of_the_host", lambda _module: False)
        return run(model)


def test_weights_in_fp8_are_not_kept_in_full_precision_and_the_gradients_are_the_same(fp8, monkeypatch):
    loss, gradients, sizes = run(fp8)
    expected, others, kept = without(monkeypatch, fp8)
    weights = {tuple(layer.weight.shape) for layer in fp8.model.diffusion_model.blocks[0].modules() if is_linear(layer)}
    assert weights == {(48, 48), (64, 48), (48, 64)}
    either_way = weights | {shape[::-1] for shape in weights}
    assert len(either_way & kept) == 3
    assert not either_way & sizes
    assert torch.equal(loss, expected)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(gradients, others, strict=True))
    assert all(gradient.any() for gradient in gradients)
    assert not any("forward" in vars(module) for module in fp8.model.diffusion_model.modules())


def test_packed_layers_of_other_packs_give_the_gradients_of_their_numbers_and_keep_no_unpacked_copy(tmp_path):
    model = packed_layers.load(tmp_path)
    layer = model.model.diffusion_model.blocks[0].ffn[0]
    assert (layer.weight.size(), layer.weight.dtype) == ((64, 52), torch.uint8)
    assert layer.weight.is_inference()
    loss, gradients, sizes = run(model)
    expected, others, kept = run(packed_layers.load(tmp_path, unpacked=True))
    assert (48, 48) in kept  # that of the projections
    assert (48, 48) not in sizes
    assert torch.equal(loss, expected)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(gradients, others, strict=True))
    assert layer.weight.is_inference()  # the host's own parameters are back
    assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())


@pytest.mark.parametrize("operations", [packed_layers.BlindOps, packed_layers.CrookedOps])
def test_layers_that_would_give_wrong_gradients_are_refused(tmp_path, operations):
    model = packed_layers.load(tmp_path, operations)
    with pytest.raises(
        ValueError, match=r"^the model's layers of the kind \S+ let no right gradient through; load the fp16"
    ):
        run(model)
    assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())


def is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def test_weights_that_need_no_cast_are_left_alone(tmp_path):
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors"))
    with training_session(video_model(model), CONFIG):
        assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())


def test_weights_in_host_memory_are_cast_again_in_the_backward_pass_whatever_the_layer(tmp_path, monkeypatch):
    """The device is said to be another than where the weights lie; the cast then is a copy to the same place."""
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors"))
    network = model.model.diffusion_model
    expected = run(model)
    for module in network.modules():
        if hasattr(module, "comfy_cast_weights"):
            monkeypatch.setattr(module, "comfy_cast_weights", True, raising=False)
    recast = training.recast_in_backward
    changed = []

    def elsewhere(network: nn.Module, dtype: torch.dtype, _device: torch.device) -> Any:
        changed.append(network)
        return recast(network, dtype, torch.device("meta"))

    monkeypatch.setattr(training, "recast_in_backward", elsewhere)
    loss, gradients, sizes = run(model)
    assert changed
    assert torch.equal(loss, expected[0])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(gradients, expected[1], strict=True))
    assert (48, 48) not in sizes
    assert (48,) in expected[2]  # weights of the norms
    assert (48,) not in sizes
