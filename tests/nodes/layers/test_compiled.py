"""Compiled blocks: the same function to rounding, in every mode of checkpointing, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import tiny_families as families
import torch
from clip_pairs import encoded_pairs, mixed_pairs
from comfy.model_management import InterruptProcessingException
from tic_ft_runs import interrupt_after, train
from tiny_families import COG_5B, KANDINSKY, LTXV, WAN
from torch._dynamo.utils import counters
from training_steps import loss_and_gradients, objective_of

from pack.nodes.host.layers import compiled
from pack.nodes.host.layers.forwards import is_replaced
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.runs.job import run_key
from pack.nodes.host.session.session import training_session
from pack.training.core.config import BOOKKEEPING, CHECKPOINTING, TrainConfig

OFF, KEEP_ATTENTION, BLOCKS, _ = CHECKPOINTING


@pytest.fixture(scope="module")
def compiler() -> None:
    reason = compiled._missing_compiler(torch.device("cpu"))
    if reason:
        pytest.skip(reason)


@pytest.fixture
def graphs(monkeypatch) -> list[int]:
    """Sizes of the graphs that are compiled, which torch's own compiler still makes."""
    made: list[int] = []
    compile_ = torch.compile

    def counting(function: Any, **options: Any) -> Any:
        from torch._inductor.compile_fx import compile_fx

        def backend(graph: Any, inputs: Any) -> Any:
            made.append(len(graph.graph.nodes))
            return compile_fx(graph, inputs)

        return compile_(function, backend=backend, **options)

    monkeypatch.setattr(torch, "compile", counting)
    return made


def step(name: str, mode: str, compile_blocks: bool) -> tuple[torch.Tensor, list[torch.Tensor], str]:
    config = TrainConfig(rank=4, batch_size=2, checkpointing=mode, compile_blocks=compile_blocks)
    model = repaired(families.model_of(name))
    (family,) = (one for one in families.ALL if one.name == name)
    with torch.inference_mode(), training_session(video_model(model), config) as session:
        return *loss_and_gradients(session, objective_of(family, config), config), session.predict.kernel


@pytest.mark.parametrize(
    ("family", "mode"),
    [(WAN, OFF), (WAN, KEEP_ATTENTION), (WAN, BLOCKS), (COG_5B, KEEP_ATTENTION), (KANDINSKY, KEEP_ATTENTION)],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.usefixtures("compiler")
def test_loss_and_gradients_are_equal_to_rounding(graphs, family, mode):
    loss, gradients, kernel = step(family.name, OFF, False)
    again, others, of_compiled = step(family.name, mode, True)
    assert len(graphs) >= 2
    assert max(graphs) > 10
    assert kernel == of_compiled == "FlashAttentionForCpu"
    torch.testing.assert_close(again, loss, rtol=1e-5, atol=0)
    for a, b in zip(others, gradients, strict=True):
        assert a.any()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pairs", [encoded_pairs, mixed_pairs])
@pytest.mark.usefixtures("output", "compiler")
def test_a_run_that_goes_on_has_the_same_bytes_and_leaves_nothing_on_the_model(monkeypatch, caplog, pairs):
    caplog.set_level("INFO")
    asked = {"settings": TrainConfig(compile_blocks=True, save_every=1), "steps": 4, "encoded": pairs()}
    model = families.model_of("Wan 2.1")
    network = model.model.diffusion_model
    before = [vars(module).get("forward") for module in network.modules()]
    whole = train(model, "whole", **asked)[0]
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(InterruptProcessingException):
            train(model, "parts", **asked)
    again = train(model, "parts", **asked)[0]
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert [vars(module).get("forward") for module in network.modules()] == before
    said = [text for text in caplog.messages if "attention: " in text]
    assert len(said) == 3
    assert all(text.endswith("checkpointing off; blocks compiled") for text in said)


@pytest.mark.parametrize("family", [COG_5B, KANDINSKY], ids=lambda family: family.name)
def test_a_trial_compiles_all_that_clips_of_any_size_need(monkeypatch, family):
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **given: compile_(function, backend="aot_eager", **given))
    config = TrainConfig(rank=4, batch_size=2, compile_blocks=True)
    model = video_model(repaired(families.model_of(family.name)))
    with torch.inference_mode(), training_session(model, config) as session:
        large, small = (objective_of(family, config, size=size) for size in (8, 4))
        session.blocks.compile_for(shapes_vary=True)
        counters.clear()
        parameters = list(session.trained.parameters())
        assert session.blocks.try_out(lambda: large.loss(session.predict, large.largest_batch()), parameters) == ""
        tried = counters["stats"]["unique_graphs"]
        for objective in (small, large):
            loss_and_gradients(session, objective, config)
        assert counters["stats"]["unique_graphs"] == tried > 2


def test_a_prediction_without_gradients_is_not_compiled(monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(compiled, "_missing_compiler", lambda _device: "")
    monkeypatch.setattr(
        torch, "compile", lambda forward, **_options: lambda *a, **k: calls.append("") or forward(*a, **k)
    )
    config = TrainConfig(rank=4, batch_size=2, compile_blocks=True)
    with torch.inference_mode(), training_session(video_model(families.model_of("Wan 2.1")), config) as session:
        objective = objective_of(WAN, config)
        with torch.no_grad():
            objective.loss(session.predict, objective.fixed_batch(0, 0.5))
        assert calls == []
        loss_and_gradients(session, objective, config)
    assert len(calls) == 2


@pytest.mark.usefixtures("output")
def test_without_a_compiler_a_line_says_so_and_the_run_is_the_plain_one(monkeypatch, caplog):
    def none(*_args: Any, **_options: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nand more")

    plain = train(families.model_of("Wan 2.1"), "plain", steps=1)[0]
    monkeypatch.setattr(torch, "compile", none)
    again = train(families.model_of("Wan 2.1"), "again", settings=TrainConfig(compile_blocks=True), steps=1)[0]
    assert [text for text in caplog.messages if "not compiled" in text and "attention: " not in text] == [
        "the blocks are not compiled, the run goes on with them as they are: no compiler works here: No working C++ "
        "compiler found"
    ]
    assert all(torch.equal(value, again[name]) for name, value in plain.items())


@pytest.mark.parametrize("family", [LTXV, WAN], ids=lambda family: family.name)
def test_blocks_that_cannot_be_compiled_are_named(caplog, family):
    network = families.model_of(family.name).model.diffusion_model
    if family is WAN:  # as a layer that is lent
        network.blocks[0].ffn[0].forward = partial(network.blocks[0].ffn[0].forward)
    config = TrainConfig(rank=4, batch_size=2, compile_blocks=True)
    try:
        with training_session(video_model(families.model_of(family.name)), config) as session:
            assert session.blocks.words == "blocks not compiled"
    finally:
        if family is WAN:
            del network.blocks[0].ffn[0].forward
    reason = {"LTXV": "those of LTXV compute in place", "Wan 2.1": "weights are lent, or stored otherwise"}[family.name]
    assert any(reason in text for text in caplog.messages)


@pytest.mark.usefixtures("compiler")
def test_what_a_patch_that_is_off_again_leaves_behind_is_in_nobodys_way():
    model = families.fresh_model_of("Wan 2.1")
    network, patched = model.model.diffusion_model, model.clone()
    block = network.blocks[0]
    patched.add_object_patch("diffusion_model.blocks.0.forward", partial(type(block).forward, block))
    patched.patch_model(load_weights=False)
    assert is_replaced(block)
    patched.unpatch_model(unpatch_weights=False)
    assert "forward" in vars(block)
    assert not is_replaced(block)
    assert compiled.reason_against(network, video_model(model).family, torch.device("cpu")) == ""


def test_a_compiled_run_has_a_key_of_its_own_and_a_plain_one_that_of_older_versions():
    plain = TrainConfig()
    left_out = (*BOOKKEEPING, *plain.unused, "compile_blocks")
    settings = {name: value for name, value in plain.to_dict().items() if name not in left_out}
    older = hashlib.sha256(json.dumps([settings, {}, []], sort_keys=True).encode()).hexdigest()
    assert run_key(plain, {}) == older
    assert run_key(replace(plain, compile_blocks=True), {}) != older
