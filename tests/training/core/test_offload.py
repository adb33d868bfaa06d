"""An offloaded optimizer state; a real second device is a GPU's, so that here only the book-keeping is tested."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from pack.training.core import offload
from pack.training.core.offload import offloaded

CARD = torch.device("cuda", 0)


class OnCard(torch.Tensor):
    """A tensor that says it lies on a GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CARD


def stepped(optimizer_class: Any = torch.optim.AdamW) -> tuple[torch.Tensor, Any]:
    parameter = torch.nn.Parameter(torch.arange(4.0))
    optimizer = optimizer_class([parameter])
    parameter.grad = torch.ones(4)
    optimizer.step()
    return parameter, optimizer


def test_state_on_a_device_waits_on_the_cpu_and_comes_back_to_its_place(monkeypatch):
    asked = []

    def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        asked.append(device)
        plain = tensor.as_subclass(torch.Tensor).clone()
        return plain if device == torch.device("cpu") else plain.as_subclass(OnCard)

    monkeypatch.setattr(offload, "on_device", moved)
    parameter, optimizer = stepped()
    state = optimizer.state[parameter]
    before = state["exp_avg"].clone()
    state["exp_avg"] = state["exp_avg"].as_subclass(OnCard)
    with contextlib.suppress(KeyboardInterrupt), offloaded(optimizer):
        assert [value.device.type for value in state.values()] == ["cpu"] * 3
        raise KeyboardInterrupt
    assert asked == [torch.device("cpu"), CARD]
    assert state["exp_avg"].device == CARD
    assert torch.equal(state["exp_avg"].as_subclass(torch.Tensor), before)


def test_state_on_the_cpu_is_not_touched():
    parameter, optimizer = stepped()
    before = dict(optimizer.state[parameter])
    with offloaded(optimizer):
        assert all(optimizer.state[parameter][name] is value for name, value in before.items())
    assert all(optimizer.state[parameter][name] is value for name, value in before.items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_device_gets_its_memory_back():
    parameter = torch.nn.Parameter(torch.ones(2**20, device=CARD))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = {name: value.clone() for name, value in optimizer.state[parameter].items()}
    before = torch.cuda.memory_allocated()
    with offloaded(optimizer):
        assert torch.cuda.memory_allocated() <= before - 2 * 4 * 2**20
    assert all(torch.equal(optimizer.state[parameter][name], value) for name, value in state.items())
    optimizer.step()
