"""Which run an order opens: none that another process trains, and one without a step with any settings."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest
import tiny_wan
import torch
from tic_ft_runs import STEPS, train

from pack.nodes.host.runs.opening import opened_run, runs_folder
from pack.training.core.config import TrainConfig
from pack.training.core.trainer import Trainer
from pack.training.runs import folder
from pack.training.runs.folder import RunFolder
from pack.training.runs.lock import RunInUseError, locked_run

IDENTITY = {"task": "x"}


pytestmark = pytest.mark.usefixtures("output")


def begun(name: str, step: int = 0, **settings: Any) -> RunFolder:
    """A run that has begun and done so many steps."""
    run = RunFolder(runs_folder() / name)
    run.begin(config=TrainConfig(**settings).to_dict(), identity=IDENTITY)
    run.save(step, {"train": {"step": step}, "trainer": {}}, keep=2)
    return run


def test_a_run_is_locked_while_it_is_open_and_then_free_again():
    with opened_run("ball", "thing", TrainConfig(), IDENTITY) as opened:
        assert opened.folder.path == runs_folder() / "ball"
        with (
            pytest.raises(RunInUseError, match="the run ball is being trained by another ComfyUI"),
            contextlib.ExitStack() as stack,
        ):
            stack.enter_context(opened_run("ball", "thing", TrainConfig(), IDENTITY))
    with opened_run("ball", "thing", TrainConfig(), IDENTITY):
        pass
    assert not list(runs_folder().iterdir())


def test_a_run_that_is_trained_elsewhere_is_not_set_aside():
    run = begun("ball", 3, rank=4)
    with (
        locked_run(run.path),
        pytest.raises(RunInUseError),
        opened_run("ball", "thing", TrainConfig(rank=8), IDENTITY, "start over"),
    ):
        pytest.fail("it was opened")
    assert [path.name for path in runs_folder().iterdir()] == ["ball"]


def test_a_run_whose_folder_is_held_is_not_started_over(monkeypatch):
    def held(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    run = begun("ball", 3, rank=4)
    monkeypatch.setattr(folder, "rename", held)
    with (
        pytest.raises(RuntimeError, match=r"^the old run ball cannot be set aside \(Permission denied\); close what"),
        opened_run("ball", "thing", TrainConfig(rank=8), IDENTITY, "start over"),
    ):
        pytest.fail("it was opened")
    assert [step for step, _ in run.states()] == [3]


def test_new_runs_of_two_processes_have_two_names():
    config = TrainConfig()
    with opened_run("", "thing", config, IDENTITY) as first, opened_run("", "thing", config, IDENTITY) as second:
        assert [first.folder.name, second.folder.name] == ["thing_00001", "thing_00002"]


def test_a_number_that_is_locked_at_the_last_moment_is_passed_over(monkeypatch):
    from pack.nodes.host.runs import opening as run_opening

    free, taken = run_opening.free_name, contextlib.ExitStack()

    def late(folder: Path, name: str) -> str:
        found = free(folder, name)
        if found == "thing_00001":
            taken.enter_context(locked_run(folder / found))
        return found

    monkeypatch.setattr(run_opening, "free_name", late)
    with taken, opened_run("", "thing", TrainConfig(), IDENTITY) as opened:
        assert opened.folder.name == "thing_00002"


@pytest.mark.parametrize(("name", "said"), [("aux.1", "is a device on Windows"), ("../out", "cannot name a folder")])
def test_a_name_that_no_folder_can_have_opens_and_locks_nothing(name, said, output):
    with pytest.raises(ValueError, match=said), opened_run(name, "thing", TrainConfig(), IDENTITY):
        pytest.fail("it was opened")
    assert not list(output.rglob("*.lock"))


def test_a_run_without_a_step_begins_with_any_settings(caplog):
    run = begun("ball", 0, rank=16)
    with caplog.at_level(logging.INFO), opened_run("ball", "thing", TrainConfig(rank=4), {"task": "y"}) as opened:
        pass
    assert "the run ball had done no step; it begins with task x → y, rank 16 → 4" in caplog.text
    assert (opened.values, opened.accepted, opened.folder.id) == (None, [], run.id)
    assert not opened.folder.states()


def test_one_step_is_enough_to_be_asked():
    begun("ball", 1, rank=16)
    with (
        pytest.raises(ValueError, match="the run ball has done 1 steps with other settings: rank 16 → 4;"),
        opened_run("ball", "thing", TrainConfig(rank=4), IDENTITY),
    ):
        pass
    run = begun("lost", 5, rank=16)
    run.forget_after(-1)  # its states are gone, but it was trained
    with (
        pytest.raises(ValueError, match="other settings: rank 16 → 4;"),
        opened_run("lost", "thing", TrainConfig(rank=4), IDENTITY),
    ):
        pass


def test_a_run_that_failed_before_its_first_step_is_trained_with_a_lower_rank(tmp_path, monkeypatch):
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors"))
    fresh = train(model, "fresh", rank=2)

    def failing(*_: Any) -> None:
        raise RuntimeError("too large")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(RuntimeError, match="too large"):
            train(model, "failed", rank=8)
    lora, _, steps, *_ = train(model, "failed", rank=2)
    assert steps == STEPS
    assert all(torch.equal(lora[key], fresh[0][key]) for key in fresh[0])
    assert "changed" not in lora.metadata
