"""A run on a simulated card: weights are lent as a step needs room, and more of them after memory ran out.

The CPU stands for the card: what is free of it is patched, and the host lends to it as to any other device.
"""

from __future__ import annotations

import json
import weakref
from typing import Any

import comfy.model_management as management
import pytest
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from followed import Follower, led
from tic_ft_runs import STEPS, train

from pack.nodes.host.layers import simulation
from pack.nodes.host.runs import fitting
from pack.nodes.host.runs.following import TRAIN, FollowedError
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.session import placement
from pack.nodes.host.session import session as training
from pack.training.core.config import TrainConfig
from pack.training.distributed.processes import among

pytestmark = pytest.mark.usefixtures("output")


@pytest.fixture
def card(monkeypatch) -> Any:
    """Makes the CPU a card with so many bytes free once nothing is loaded."""

    def of(free: float) -> None:
        def now(*_args: Any, **_options: Any) -> float:
            return free - sum(one.model_loaded_memory() for one in management.current_loaded_models if one.model)

        monkeypatch.setattr(placement, "SHARED", ())
        monkeypatch.setattr(management, "lowvram_available", True)
        monkeypatch.setattr(management, "extra_reserved_memory", lambda: 0)
        monkeypatch.setattr(management, "get_free_memory", now)

    return of


@pytest.fixture
def sessions(monkeypatch) -> list[tuple[float, float]]:
    """Bytes on the card and lent to it in each session of a run."""
    found: list[tuple[float, float]] = []
    load = training.load_for_training

    def note(clone: Any, room: placement.Room) -> placement.Placed:
        placed = load(clone, room)
        if room != placement.ALL:
            found.append((placed.resident, placed.lent))
        return placed

    monkeypatch.setattr(training, "load_for_training", note)
    return found


DEPTH, KEPT = 6, 3


@pytest.fixture
def deep(tmp_path) -> Any:
    """A tiny Wan 2.1 of more blocks, each with fewer bytes of weights than a step of ``large`` clips keeps of it."""
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "deep.safetensors", num_layers=DEPTH))


def large() -> dict[str, Any]:
    return {"encoded": encoded_pairs(width=64, height=64, frames=24), "batch_size": 2, "steps": 2}


def failing(monkeypatch, *calls: int) -> None:
    """Let the network run out of memory at some of its calls, counted from 1; those that are counted do not count."""
    predict, count = training.HostPredictor.__call__, []

    def broken(self: Any, *args: Any) -> Any:
        if not simulation.is_simulated():
            count.append(1)
            if len(count) in calls:
                raise torch.cuda.OutOfMemoryError("no memory left")  # each its own: an error holds what was under way
        return predict(self, *args)

    monkeypatch.setattr(training.HostPredictor, "__call__", broken)


def said(caplog: Any) -> list[str]:
    """What each session says of its checkpointing."""
    return [text.rpartition("; checkpointing ")[2] for text in caplog.messages if "; checkpointing " in text]


def same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_weights_stay_on_the_card_where_there_is_room(model, card, sessions):
    card(2**30)
    train(model, "room")
    assert sessions == [(model.model_size(), 0)]


def test_weights_are_lent_where_the_step_needs_the_room_and_the_result_is_the_same(model, card, sessions, caplog):
    plain = train(model, "plain")[0]
    caplog.set_level("INFO")
    size = model.model_size()
    step = step_of(model, card)
    card(step + size / 2)
    lent = train(model, "lent")[0]
    resident, away = sessions[-1]
    assert 0 < resident <= size / 2
    assert resident + away == size
    assert same(plain, lent)


def test_what_does_not_fit_with_all_weights_lent_begins_leaner(model, card, caplog):
    off, keep = step_of(model, card), step_of(model, card, checkpointing="keep attention")
    blocks = step_of(model, card, checkpointing="blocks")
    assert blocks < keep < off
    for name, room, way in (("lean", off + keep, "keep attention"), ("leaner", keep + blocks, "blocks")):
        card(room / 2)
        _, loss, *_ = train(model, name)
        assert len(loss["loss"]) == STEPS
        assert f"the run begins with {way}" in caplog.text


@pytest.fixture
def room_for_half(deep, card) -> Any:
    """Makes the card one with room for all weights beside a step in which half of the blocks keep everything."""
    off, lean = (step_of(deep, card, mode, **large()) for mode in ("off", "keep attention"))
    whole = deep.model_size()
    free = whole + lean + (off - lean) * (KEPT + 0.5) / DEPTH
    assert whole < 0.2 * (off - free)  # else lending all weights would do
    return lambda: card(free)


def test_where_not_all_blocks_can_keep_everything_the_last_ones_do(deep, card, room_for_half, sessions, caplog):
    card(2**30)
    plain = train(deep, "plain", **large())[0]
    caplog.set_level("INFO")
    room_for_half()
    lora = train(deep, "some", **large())[0]
    assert sessions[-1] == (deep.model_size(), 0)
    assert same(plain, lora)
    assert "there is room for 3 of 6 blocks to keep everything" in caplog.text
    assert said(caplog) == ["keep attention in 3 of 6 blocks"]
    config = json.loads((runs_folder() / "some" / "run.json").read_text())["config"]
    assert (config["checkpointing"], config["kept_blocks"]) == ("keep attention", KEPT)


@pytest.mark.parametrize(("asked", "fitted"), [(1, 1), (5, 3)])
def test_what_a_plan_found_is_kept_as_far_as_there_is_room(deep, room_for_half, caplog, asked, fitted):
    caplog.set_level("INFO")
    room_for_half()
    train(deep, "planned", settings=TrainConfig(checkpointing="keep attention", kept_blocks=asked), **large())
    assert said(caplog) == [f"keep attention in {DEPTH - fitted} of 6 blocks"]


def test_what_is_chosen_by_hand_is_that_of_all_blocks(deep, room_for_half, caplog):
    caplog.set_level("INFO")
    room_for_half()
    train(deep, "by hand", settings=TrainConfig(checkpointing="blocks"), **large())
    assert said(caplog) == ["blocks"]


def test_after_memory_ran_out_no_block_keeps_everything_in_any_process(deep, room_for_half, monkeypatch, caplog):
    caplog.set_level("INFO")
    room_for_half()
    with monkeypatch.context() as patch:
        failing(patch, 2)
        messages = led(deep, **large())
    assert [values["config"]["kept_blocks"] for what, values in messages if what == TRAIN] == [KEPT, 0]
    (tried,) = [text for text in caplog.messages if "ran out of memory after 1 steps; it goes on" in text]
    assert tried.endswith("with checkpointing keep attention")
    computed: list[int] = []
    wrapped = training.checkpointed_blocks
    monkeypatch.setattr(training, "checkpointed_blocks", lambda *args: computed.append(args[3]) or wrapped(*args))
    for _, values in messages[:2]:
        with among(Follower([(TRAIN, values), messages[-1]])), pytest.raises(FollowedError):
            train(deep, "shared", **large())
        assert computed[-1] == values["config"]["kept_blocks"]


def test_after_memory_ran_out_more_and_more_is_lent(model, card, sessions, monkeypatch, caplog):
    plain = train(model, "plain")[0]
    card(2**30)
    failing(monkeypatch, 3, 4, 5, 6)
    lora, _, steps, *_ = train(model, "tried again")
    assert steps == STEPS
    assert same(plain, lora)
    size = model.model_size()
    shares = [resident / size for resident, _ in sessions]
    assert shares[:2] == [1.0, 1.0]
    assert 0.5 >= shares[2] > shares[3] == shares[4]
    tries = [text for text in caplog.messages if "ran out of memory after 2 steps; it goes on" in text]
    assert len(tries) == 4
    assert tries[0].endswith("with checkpointing blocks")
    assert "checkpointing blocks and at most 0.00 GiB of the weights on the card" in tries[1]
    assert "checkpointing blocks, offloaded" in tries[3]


def test_nothing_of_an_attempt_that_ran_out_is_left_when_the_next_begins(model, card, monkeypatch):
    card(2**30)
    failing(monkeypatch, 3, 4)
    living: list[weakref.ref[Any]] = []
    left: list[int] = []
    made = training.HostPredictor.__init__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        if not simulation.is_simulated():
            left.append(sum(one() is not None for one in living))
            living.append(weakref.ref(self))
        made(self, *args, **options)

    monkeypatch.setattr(training.HostPredictor, "__init__", noted)
    train(model, "let go")
    assert left == [0, 0, 0]


def test_a_cancel_while_a_step_is_counted_ends_the_run(model, card, monkeypatch):
    def cancelled(*_args: Any) -> float:
        raise management.InterruptProcessingException

    monkeypatch.setattr(fitting, "counted_step", cancelled)
    card(model.model_size())
    with pytest.raises(management.InterruptProcessingException):
        train(model, "cancelled")


def test_a_step_that_cannot_be_counted_gets_half_of_the_card(model, card, sessions, monkeypatch, caplog):
    def failing(*_args: Any) -> float:
        raise RuntimeError("a foreign layer")

    monkeypatch.setattr(fitting, "counted_step", failing)
    size = model.model_size()
    card(size)
    train(model, "foreign")
    ((resident, _),) = sessions
    assert resident <= size / 2
    assert "could not be counted (a foreign layer)" in caplog.text


def test_the_others_lend_as_many_weights_as_process_0_asks_for(model, card, sessions, monkeypatch):
    card(2**30)
    failing(monkeypatch, 3, 4, 5)
    messages = led(model)
    told = [values["most"] for what, values in messages if what == TRAIN]
    size = model.model_size()
    assert told[:2] == [None, None]  # as many as there is room for
    assert size / 2 >= told[2] > told[3] == 0.0
    for (_, values), (resident, lent) in zip(messages, list(sessions), strict=False):
        sessions.clear()
        with among(Follower([(TRAIN, values), messages[-1]])), pytest.raises(FollowedError):
            train(model, "shared")
        assert sessions == [(resident, lent)]


def step_of(model: Any, card: Any, checkpointing: str = "off", **values: Any) -> float:
    """Bytes of a step as a run of these tests counts them."""
    card(2**30)
    found: list[float] = []
    counted = fitting.Fitting.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting.Fitting, "step", lambda *args: found.append(counted(*args)) or found[-1])
        train(
            model, f"step {checkpointing}", settings=TrainConfig(checkpointing=checkpointing), **{**values, "steps": 1}
        )
    return found[0]
