"""Whether the blocks of a run are compiled: tried on a real block before the first step, noted, and kept to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from clip_pairs import fake_text, mixed_pairs
from comfy.model_management import InterruptProcessingException
from followed import Follower, led
from tic_ft_runs import interrupt_after, train
from torch import Tensor, nn
from torch._dynamo.utils import counters

from pack.nodes.host.layers.block_calls import BlockCall
from pack.nodes.host.runs import attempts, compiled_run
from pack.nodes.host.runs.following import FollowedError
from pack.nodes.host.session.session import HostPredictor
from pack.training.core.config import TrainConfig
from pack.training.distributed.processes import among
from pack.training.runs.monitor import Monitors

pytestmark = pytest.mark.usefixtures("output")
COMPILED = TrainConfig(compile_blocks=True, save_every=1)
LEFT = "the blocks are not compiled, the run goes on with them as they are: "
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]


class NoBackward(torch.autograd.Function):
    """What is compiled well and fails in its backward pass."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, *_: Any) -> Any:
        raise RuntimeError("no backward kernel")


def no_forward(_block: Any) -> Callable[..., Any]:
    def call(*_args: Any, **_kwargs: Any) -> Any:
        torch.rand(7)
        raise RuntimeError("cannot lower this block\nand more")

    return call


def no_backward(block: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: NoBackward.apply(block(*args, **kwargs))


def wasteful(block: Callable[..., Any]) -> Callable[..., Any]:
    """A compiler that works, and draws random numbers."""
    torch.rand(7)
    return block


@pytest.fixture
def compiler(monkeypatch) -> Callable[[Compiler], None]:
    """Put another compiler in the place of torch's; whatever it is, it works on functions that are no block's."""

    def use(found: Compiler) -> None:
        def compile_(function: Any, **_options: Any) -> Any:
            return found(function) if isinstance(getattr(function, "__self__", None), nn.Module) else function

        monkeypatch.setattr(torch, "compile", compile_)

    return use


@pytest.fixture
def notes(monkeypatch) -> list[str]:
    """What the panel says of it."""
    found: list[str] = []
    note = Monitors.note

    def watched(self: Any, kind: str, text: str) -> None:
        if kind == "compiled":
            found.append(text)
        note(self, kind, text)

    monkeypatch.setattr(Monitors, "note", watched)
    return found


@pytest.fixture
def tried(monkeypatch) -> list[bool]:
    """Of each block that is tried, whether its inputs have gradients."""
    found: list[bool] = []
    compute = BlockCall.compute

    def watched(self: BlockCall, parameters: Any) -> None:
        found.append(self.args[0].requires_grad)
        compute(self, parameters)

    monkeypatch.setattr(BlockCall, "compute", watched)
    return found


def entries(output: Path, run: str) -> Any:
    """What the record of a run says of it."""
    return json.loads((output / "fewshot_video" / "runs" / run / "run.json").read_text()).get("compiled")


def train_some(model: Any, steps: int) -> None:
    """The first of three steps of a run that is then cancelled."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(InterruptProcessingException):
            train(model, "parts", settings=COMPILED, steps=3)


@pytest.mark.parametrize(
    ("failing", "reason"), [(no_forward, "cannot lower this block"), (no_backward, "no backward kernel")]
)
def test_a_compiler_that_fails_on_a_real_block_costs_no_run(model, output, compiler, notes, caplog, failing, reason):
    caplog.set_level("INFO")
    plain = train(model, "plain", steps=2)
    compiler(failing)
    again = train(model, "again", settings=COMPILED, steps=2)
    assert again[1] == plain[1]
    assert all(torch.equal(value, again[0][name]) for name, value in plain[0].items())
    assert notes == [LEFT + reason]
    assert [text for text in caplog.messages if text.startswith("the blocks are")] == notes
    assert [text for text in caplog.messages if "attention: " in text][-1].endswith("; blocks not compiled")
    assert entries(output, "again") == [{"step": 0, "blocks": False}]
    assert entries(output, "plain") is None


@pytest.mark.parametrize("checkpointing", ["off", "keep attention", "blocks"])
def test_a_trial_leaves_no_trace_in_what_is_trained(model, output, compiler, tried, checkpointing):
    plain = train(model, "plain", steps=2)
    compiler(wasteful)
    settings = TrainConfig(compile_blocks=True, caption_dropout=0.5, checkpointing=checkpointing)
    again = train(model, "again", settings=settings, steps=2)
    assert tried == [False, True]
    assert again[1] == train(model, "dropped", settings=TrainConfig(caption_dropout=0.5), steps=2)[1] != plain[1]
    assert entries(output, "again") == [{"step": 0, "blocks": True}]


def test_a_run_that_began_without_a_compiler_goes_on_without(model, output, compiler, notes, tried):
    plain = train(model, "plain", steps=3)[0]
    compiler(no_forward)
    train_some(model, 2)
    compiler(wasteful)
    notes.clear()
    tried.clear()
    again = train(model, "parts", settings=COMPILED, steps=3)[0]
    assert all(torch.equal(value, again[name]) for name, value in plain.items())
    assert tried == []
    assert [text.partition(":")[0] for text in notes] == ["the blocks are not compiled"]
    assert entries(output, "parts") == [{"step": 0, "blocks": False}]


def test_a_run_that_loses_its_compiler_goes_on_and_its_record_says_where(model, output, compiler, notes):
    compiler(wasteful)
    train_some(model, 1)
    assert notes == []
    compiler(no_forward)
    train(model, "parts", settings=COMPILED, steps=3)
    assert notes[0] == f"{LEFT}cannot lower this block"
    assert notes[1] == "the steps up to 1 were done with compiled blocks, those from here on are not"
    assert entries(output, "parts") == [{"step": 0, "blocks": True}, {"step": 1, "blocks": False}]


def test_a_record_that_says_something_else_of_it_counts_as_none(model, output, compiler):
    compiler(no_forward)
    train_some(model, 1)
    path = output / "fewshot_video" / "runs" / "parts" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "compiled": [3, {"step": "0", "blocks": False}]}))
    compiler(wasteful)
    train(model, "parts", settings=COMPILED, steps=3)
    assert entries(output, "parts") == [{"step": 1, "blocks": True}]


def test_memory_that_runs_out_in_a_trial_is_for_the_step_to_find_out(model, output, compiler, notes, monkeypatch):
    def full(_self: Any, _parameters: Any) -> None:
        raise torch.OutOfMemoryError

    compiler(wasteful)
    monkeypatch.setattr(BlockCall, "compute", full)
    train(model, "full", settings=COMPILED, steps=1)
    assert notes == []
    assert entries(output, "full") == [{"step": 0, "blocks": True}]


def test_what_is_wrong_with_the_network_itself_is_what_the_step_says(model, compiler, notes, monkeypatch):
    def broken(_self: Any, *_args: Any) -> Any:
        raise ValueError("the network is broken")

    compiler(wasteful)
    monkeypatch.setattr(HostPredictor, "predict_alike", broken)
    with pytest.raises(ValueError, match="the network is broken"):
        train(model, "broken", settings=COMPILED, steps=1)
    assert notes == []


def test_no_block_of_a_split_base_is_tried(model, compiler, tried, monkeypatch):
    compiler(wasteful)
    monkeypatch.setattr(compiled_run, "processes", lambda: type("Split", (), {"splits": True}))
    train(model, "split", settings=COMPILED, steps=1)
    assert tried == []


def test_nobody_compiles_what_process_0_does_not(model, compiler, tried):
    compiler(no_forward)
    (what, values), end = led(model, settings=COMPILED, steps=1)
    assert not values["compiled"]
    compiler(wasteful)
    for compiled in (False, True):
        tried.clear()
        with among(Follower([(what, {**values, "compiled": compiled}), end])), pytest.raises(FollowedError):
            train(model, "shared", settings=COMPILED, steps=1)
        assert tried == [False, True][: 2 * compiled]


@pytest.mark.parametrize("sizes", ["one size", "several sizes"])
def test_clips_and_captions_of_any_number_of_sizes_are_compiled_once(model, monkeypatch, sizes):
    def text(caption: str) -> dict[str, Tensor]:
        more = caption.count("x") if sizes == "several sizes" else 0
        return {"cross_attn": torch.cat([fake_text(caption)["cross_attn"]] * (1 + more))}

    compile_, graphs = torch.compile, []
    monkeypatch.setattr(torch, "compile", lambda function, **given: compile_(function, backend="aot_eager", **given))
    settle = compiled_run.settle_blocks

    def settled(*args: Any) -> None:
        counters.clear()
        settle(*args)
        graphs.append(counters["stats"]["unique_graphs"])

    monkeypatch.setattr(attempts, "settle_blocks", settled)
    encoded = {} if sizes == "one size" else {"encoded": mixed_pairs(text=text)}
    train(model, "graphs", settings=COMPILED, steps=8, batch_size=1, **encoded)
    assert graphs[0] > 5
    assert counters["stats"]["unique_graphs"] == graphs[0]
