"""Lent weights: the host's streams bring each layer's copy while others compute, and nothing goes back.

The card is pretended: weights say that they lie elsewhere, streams write down what is put on them, and when each piece
would begin where all take equally long. Which stream a copy is put on and what waits for what is the host's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management as management
import comfy.ops
import comfy.sd
import pytest
import tiny_wan
import torch
from tiny_families import WAN
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from training_steps import loss_and_gradients, objective_of

from pack.nodes.host.layers.small_parameters import small_parameters_on
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.placement import load_for_training
from pack.nodes.host.session.session import training_session
from pack.training.core.config import CHECKPOINTING, TrainConfig

OFF, _, BLOCKS, _ = CHECKPOINTING
HOST_MEMORY = torch.device("meta")  # what the weights say
BLOCK = 10  # linear layers of a block of Wan
aten = torch.ops.aten


class Waiting(nn.Parameter):
    """A weight that says it does not lie where the steps are computed."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # what is made of it is an ordinary tensor

    @property
    def device(self) -> torch.device:
        return HOST_MEMORY


@dataclass(frozen=True)
class Piece:
    """What was put on a stream."""

    layer: str
    stream: str
    start: int
    asked: int  # pieces of the computation that had been put on their stream before


@dataclass(eq=False)
class Stream:
    """Of a card: one piece after another; every piece takes one unit of time."""

    name: str
    trace: Trace
    end: int = 0

    def wait_stream(self, other: Stream) -> None:
        self.end = max(self.end, other.end)

    def synchronize(self) -> None:
        pass

    @contextmanager
    def as_context(self, _stream: Stream) -> Iterator[None]:
        before, self.trace.active = self.trace.active, self
        try:
            yield
        finally:
            self.trace.active = before


@dataclass(eq=False)
class Trace(TorchDispatchMode):
    """Copies of waiting weights, and the products that are made with them."""

    layers: dict[int, str]  # by where the weight lies
    copies: list[Piece] = field(default_factory=list)
    products: list[Piece] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # weights that something was copied to
    blocking: list[str] = field(default_factory=list)  # copies for which the host would wait

    def __post_init__(self) -> None:
        super().__init__()
        self.computing = self.active = Stream("computing", self)
        self.lent: dict[int, str] = {}  # layers by where their copy lies
        self.alive: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.copy_.default:
            self._copied(*args, **(kwargs or {}))
        elif func in (aten.mm.default, aten.addmm.default, aten.bmm.default):
            for given in args:
                if isinstance(given, Tensor) and given.data_ptr() in self.lent:
                    self.products.append(self._put(self.computing, self.lent[given.data_ptr()]))
        return func(*args, **(kwargs or {}))

    def _copied(self, to: Tensor, given: Tensor, non_blocking: bool = False) -> None:
        if to.data_ptr() in self.layers:
            self.written.append(self.layers[to.data_ptr()])
        name = self.layers.get(given.data_ptr())
        if name is None:
            return
        if name.endswith(".weight") and given.ndim == 2:
            self.lent[to.data_ptr()] = name
            self.alive.append(to)  # so that nothing else comes to lie there
            self.copies.append(self._put(self.active, name))
        if not non_blocking:
            self.blocking.append(name)

    def _put(self, stream: Stream, name: str) -> Piece:
        piece = Piece(name, stream.name, stream.end, len(self.products))
        stream.end += 1
        return piece


@pytest.fixture
def model(tmp_path) -> Any:
    path = tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors", num_layers=3)
    return comfy.sd.load_diffusion_model(str(path))


def lend(network: nn.Module) -> dict[int, str]:
    """Leave every weight of the network in host memory, as the host does on a card without room for any."""
    places = {}
    for path, module in network.named_modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                weight = torch.Tensor._make_subclass(Waiting, parameter.data, False)
                module._parameters[name] = weight
                places[weight.data_ptr()] = f"{path}.{name}"
    return places


@contextmanager
def streams(patch: pytest.MonkeyPatch, trace: Trace, count: int) -> Iterator[None]:
    """Give the host so many streams to lend with, as ``--async-offload`` does."""
    cpu, lending = torch.device("cpu"), [Stream(f"lending {i}", trace) for i in range(count)]
    patch.setattr(management, "NUM_STREAMS", count)
    patch.setattr(management, "STREAMS", {cpu: lending})
    patch.setattr(management, "stream_counters", {})
    patch.setattr(management, "STREAM_CAST_BUFFERS", {})
    patch.setattr(management, "current_stream", lambda _device: trace.computing)
    patch.setattr(management, "device_supports_non_blocking", lambda _device: True)
    with trace:
        yield


def step(model: Any, mode: str, patch: pytest.MonkeyPatch, count: int) -> tuple[Trace, tuple[Tensor, list[Tensor]]]:
    """A step with every weight lent: its trace, loss and gradients."""
    config = TrainConfig(rank=4, batch_size=2, checkpointing=mode)
    trace = Trace(lend(model.model.diffusion_model))
    with training_session(video_model(model), config) as session:
        objective = objective_of(WAN, config)
        with streams(patch, trace, count):
            return trace, loss_and_gradients(session, objective, config)


def plain(model: Any, mode: str) -> tuple[Tensor, list[Tensor]]:
    config = TrainConfig(rank=4, batch_size=2, checkpointing=mode)
    with training_session(video_model(model), config) as session:
        return loss_and_gradients(session, objective_of(WAN, config), config)


@pytest.mark.parametrize(
    ("count", "mode", "buffers"), [(2, OFF, True), (2, BLOCKS, False), (4, BLOCKS, True), (BLOCK + 1, BLOCKS, False)]
)
def test_each_stream_more_lets_copies_run_a_layer_further_ahead_and_nothing_goes_back(
    model, monkeypatch, count, mode, buffers
):
    monkeypatch.setattr(comfy.ops.args, "cuda_malloc", not buffers)
    expected = plain(model, mode)
    before = tiny_wan.weights_of(model)
    trace, found = step(model, mode, monkeypatch, count)
    assert {piece.stream for piece in trace.copies} == {f"lending {i}" for i in range(count)}
    assert [piece.layer for piece in trace.copies] == [piece.layer for piece in trace.products]
    in_blocks = [piece.layer.startswith("blocks.") for piece in trace.copies]
    for i, (copy, product) in enumerate(zip(trace.copies, trace.products, strict=True)):
        assert copy.start < product.start
        if all(in_blocks[max(0, i - count) : i + 1]):  # it begins where the product ends whose stream it takes
            assert copy.start <= trace.products[i - count].start + 1 == product.start - (count - 1)
    forward, backward = 3 * BLOCK, 3 * (BLOCK - 2) - 3  # without the prompt's keys and values, and the first q, k, v
    assert sum(in_blocks) == forward * (1 + (mode == BLOCKS)) + backward
    assert trace.blocking == trace.written == []
    assert all(torch.equal(value, before[name]) for name, value in tiny_wan.weights_of(model).items())
    assert torch.equal(found[0], expected[0])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(found[1], expected[1], strict=True))


def test_small_parameters_lie_on_the_device_for_a_run_and_are_the_same_objects_afterwards(model):
    network = model.model.diffusion_model
    lend(network)
    before = {name: id(value) for name, value in network.named_parameters()}
    video = video_model(model)
    with training_session(video, TrainConfig(rank=4)):
        away = {name for name, value in network.named_parameters() if value.device == HOST_MEMORY}
    layers = {name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv3d))}
    assert away == {name for name in before if name.rpartition(".")[0] in layers}
    assert {name: id(value) for name, value in network.named_parameters()} == before


def test_what_the_host_has_loaded_meanwhile_stays_where_it_put_it(model):
    network = model.model.diffusion_model
    lend(network)
    norm = network.blocks[0].norm3
    with small_parameters_on(network, torch.device("cpu")):
        norm.comfy_cast_weights = False
        loaded = norm.weight
    assert norm.weight is loaded
    assert network.blocks[1].norm3.weight.device == HOST_MEMORY


@pytest.mark.parametrize("left", [0, 60_000], ids=["no room", "room for some"])
def test_lent_weights_are_pinned_once_and_no_others(model, monkeypatch, left):
    pinned: list[int] = []
    free = management.minimum_inference_memory() + left

    def pinning(tensor: Tensor) -> bool:
        if tensor.device.type != "cpu":  # as the host does
            return False
        pinned.append(tensor.data_ptr())
        return True

    monkeypatch.setattr(management, "pin_memory", pinning)
    monkeypatch.setattr(management, "unpin_memory", lambda tensor: pinned.remove(tensor.data_ptr()))
    monkeypatch.setattr(management, "vram_state", management.VRAMState.NORMAL_VRAM)
    monkeypatch.setattr(
        management, "get_free_memory", lambda _device=None, torch_free_too=False: (free, 0) if torch_free_too else free
    )
    model.load_device = HOST_MEMORY
    layers = [module for module in model.model.diffusion_model.modules() if hasattr(module, "comfy_cast_weights")]
    try:
        for _ in range(2):
            placed = load_for_training(model)
        lent = [value for layer in layers for value in layer.parameters() if value.device.type == "cpu"]
    finally:
        management.current_loaded_models.clear()
    assert placed.resident <= left
    assert len(lent) < len([value for layer in layers for value in layer.parameters()]) or not left
    assert placed.lent > 0
    assert sorted(pinned) == sorted(value.data_ptr() for value in lent)
