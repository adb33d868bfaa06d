"""Runs that stop and go on: by name, by order, after changes, on a full disk and in a folder that is not theirs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import pytest
import torch
from clip_pairs import encoded_pairs
from tic_ft_runs import STEPS, interrupt_after, train

from pack.nodes.host.runs import attempts as run_attempts
from pack.nodes.host.runs import job as run_job
from pack.nodes.host.runs import opening as run_opening
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.runs.live_runs import run_list
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.services.progress import StepProgress
from pack.nodes.host.session import session as training
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora
from pack.training.lora.metadata import from_metadata
from pack.training.runs import control as stop
from pack.training.runs.lock import locked_run

Interrupt = comfy.model_management.InterruptProcessingException


pytestmark = pytest.mark.usefixtures("output")


def cancelled(monkeypatch, model: Any, name: str, steps: int, **values: Any) -> None:
    """Train, and cancel after so many steps."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(Interrupt):
            train(model, name, **values)


def same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def times(folder: Path) -> list[tuple[Path, int]]:
    """When the files below a folder were changed; a lock comes and goes in a folder, which changes its own time."""
    return sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file())


def record_of(lora: Any) -> dict[str, str]:
    return from_metadata(lora.metadata)


def test_a_cancelled_run_goes_on_to_the_same_bytes(model, monkeypatch, caplog):
    settings = TrainConfig(ema_decay=0.8, accumulation=2, lr_schedule="linear", caption_dropout=0.4)
    whole = train(model, "whole", settings=settings, validation=encoded_pairs())
    cancelled(monkeypatch, model, "cut", 4, settings=settings, validation=encoded_pairs())
    assert "stopped after 4 steps; they are kept in" in caplog.text
    assert "run_name cut goes on from there" in caplog.text
    calls, predict = [], training.HostPredictor.__call__
    monkeypatch.setattr(training.HostPredictor, "__call__", lambda self, *args: calls.append(1) or predict(self, *args))
    cut = train(model, "cut", settings=settings, validation=encoded_pairs())
    assert len(calls) == 2 * (STEPS - 4) + 12  # two batches a step, and the validation after
    assert same(cut[0], whole[0])
    assert cut[1] == whole[1]
    assert {k: v for k, v in record_of(cut[0]).items() if "validation" in k} == {
        k: v for k, v in record_of(whole[0]).items() if "validation" in k
    }


def test_a_run_whose_settings_changed_is_refused_with_a_list_and_left_alone(model, monkeypatch, output):
    cancelled(monkeypatch, model, "changed", 3)
    before = times(output)
    with pytest.raises(ValueError, match=r"changed has done 3 steps with other settings: learning_rate 0\.02 → 0\.01;"):
        train(model, "changed", learning_rate=0.01)
    with pytest.raises(ValueError, match="other settings: training clips;"):
        train(model, "changed", encoded=encoded_pairs(seed=9))
    assert times(output) == before


def test_accepted_changes_are_kept_in_the_metadata_and_make_another_run(model, monkeypatch):
    plain = train(model, "plain", learning_rate=0.01)
    cancelled(monkeypatch, model, "accepted", 3)
    lora, loss, steps, path, _ = train(model, "accepted", learning_rate=0.01, on_change="accept")
    assert steps == len(loss["loss"]) == STEPS
    assert not same(lora, plain[0])
    assert json.loads(record_of(lora)["changed"]) == ["learning_rate 0.02 → 0.01 at step 3"]
    assert train(model, "accepted", learning_rate=0.01)[3] == path


def test_a_changed_rank_cannot_be_accepted(model, monkeypatch):
    cancelled(monkeypatch, model, "rank", 3)
    with pytest.raises(ValueError, match="set rank and target_modules as they were"):
        train(model, "rank", rank=2, on_change="accept")
    assert train(model, "rank", on_change="accept")[2] == STEPS


def test_starting_over_keeps_the_old_run(model, monkeypatch):
    fresh = train(model, "fresh", learning_rate=0.01)
    cancelled(monkeypatch, model, "over", 3)
    again = train(model, "over", learning_rate=0.01, on_change="start over")
    assert same(again[0], fresh[0])
    assert list((runs_folder() / "over (old 1)" / "states").iterdir())


def test_fewer_steps_than_are_done_are_refused(model):
    train(model, "longer")
    with pytest.raises(ValueError, match=rf"steps {STEPS} → 2"):
        train(model, "longer", steps=2)


def test_a_longer_run_under_a_schedule_says_that_it_was_lengthened(model):
    settings = TrainConfig(lr_schedule="cosine")
    train(model, "lengthened", settings=settings)
    lora = train(model, "lengthened", settings=settings, steps=STEPS + 2)[0]
    assert json.loads(record_of(lora)["changed"]) == [f"steps {STEPS} → {STEPS + 2} at step {STEPS}"]


def test_how_a_run_is_kept_and_shown_may_change(model, monkeypatch):
    cancelled(monkeypatch, model, "kept", 3)
    assert train(model, "kept", settings=TrainConfig(save_every=1, keep=5, validate_every=2))[2] == STEPS


@pytest.mark.parametrize("state", ["unfinished", "finished"])
def test_an_empty_name_is_a_new_run_but_a_finished_one_is_returned(model, monkeypatch, caplog, state):
    if state == "finished":
        assert train(model, "")[3] == train(model, "")[3]
        assert [path.name for path in runs_folder().iterdir()] == ["tic_ft_image_to_video_00001"]
        return
    cancelled(monkeypatch, model, "", 3)
    _, loss, *_ = train(model, "")
    assert len(loss["loss"]) == STEPS
    assert len(list(runs_folder().iterdir())) == 2
    assert "the run tic_ft_image_to_video_00001 has the same settings and stands at step 3" in caplog.text


def test_stop_returns_the_lora_as_it_is_and_the_run_can_go_on(model, monkeypatch):
    show = StepProgress.show
    live = lambda: {entry["run"] for entry in run_list() if entry["live"]}  # noqa: E731
    others = live()  # which other tests have left behind

    def press(self: Any, done: int, total: int | None = None) -> None:
        if total is None and done == 2:
            (run,) = live() - others
            assert stop.request_stop(run)
        show(self, done, total)

    with monkeypatch.context() as patch:
        patch.setattr(StepProgress, "show", press)
        lora, loss, steps, path, _ = train(model, "stopped")
    assert steps == len(loss["loss"]) == 2
    assert record_of(lora)["finished"] == "false"
    assert same(load_lora(Path(path)), lora)
    assert live() == others
    assert same(train(model, "stopped")[0], train(model, "not stopped")[0])


def test_steps_without_a_number_are_skipped_and_the_run_ends_well(model, monkeypatch):
    predict, calls = training.HostPredictor.__call__, []

    def broken(self: Any, *args: Any) -> Any:
        calls.append(1)
        return predict(self, *args) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(training.HostPredictor, "__call__", broken)
    lora, loss, steps, path, _ = train(model, "nan at 3")
    assert (steps, len(loss["loss"])) == (STEPS, STEPS - 1)
    assert all(value.isfinite().all() for value in lora.values())
    assert json.loads(Path(path).with_suffix(".json").read_text())["skipped"] == [3]


def failing(monkeypatch, error: Exception, *calls: int) -> None:
    """Let the network fail at some of its calls, counted from 1."""
    predict, count = training.HostPredictor.__call__, []

    def broken(self: Any, *args: Any) -> Any:
        count.append(1)
        if len(count) in calls:
            raise error
        return predict(self, *args)

    monkeypatch.setattr(training.HostPredictor, "__call__", broken)


def test_an_error_says_where_the_steps_are_kept(model, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, RuntimeError("broken"), 4)
        with pytest.raises(RuntimeError, match=r"^broken; the run stopped after 3 steps; .*run_name error goes on"):
            train(model, "error")
    assert json.loads((runs_folder() / "error" / "run.json").read_text())["state"] == "failed"
    assert same(train(model, "error")[0], train(model, "no error")[0])


@pytest.mark.parametrize("call", [1, 4])
def test_a_run_out_of_memory_goes_on_with_checkpointing(model, monkeypatch, caplog, call):
    with monkeypatch.context() as patch:
        failing(patch, torch.cuda.OutOfMemoryError("no memory left"), call)
        lora, loss, steps, *_ = train(model, f"memory {call}")
    assert steps == len(loss["loss"]) == STEPS
    said = f"out of memory after {call - 1} steps; it goes on from there with checkpointing blocks"
    assert said in caplog.text
    assert same(lora, train(model, "enough memory")[0])


def test_a_run_goes_on_to_the_same_bytes_whichever_blocks_keep_everything(model, monkeypatch):
    whole = train(model, "none is computed again")[0]
    cancelled(monkeypatch, model, "some are", 3, settings=TrainConfig(checkpointing="blocks", kept_blocks=1))
    config = json.loads((runs_folder() / "some are" / "run.json").read_text())["config"]
    assert (config["checkpointing"], config["kept_blocks"]) == ("blocks", 1)
    again = train(model, "some are", settings=TrainConfig(checkpointing="blocks"))[0]
    assert same(again, whole)
    cancelled(monkeypatch, model, "all are", 3, settings=TrainConfig(checkpointing="keep attention"))
    assert same(train(model, "all are", settings=TrainConfig(checkpointing="blocks", kept_blocks=1))[0], whole)


def test_after_memory_ran_out_all_blocks_are_computed_again_before_anything_else(model, monkeypatch, caplog):
    settings = TrainConfig(checkpointing="keep attention", kept_blocks=1)
    with monkeypatch.context() as patch:
        failing(patch, torch.cuda.OutOfMemoryError("no memory left"), 4, 5)
        lora = train(model, "kept too much", settings=settings)[0]
    tries = [text.rpartition(" with ")[2] for text in caplog.messages if "ran out of memory" in text]
    assert tries == ["checkpointing keep attention", "checkpointing blocks"]
    assert same(lora, train(model, "enough memory", settings=settings)[0])


def test_a_run_that_is_always_out_of_memory_stops_with_advice(model, monkeypatch, caplog):
    failing(monkeypatch, torch.cuda.OutOfMemoryError("no memory left"), 4, 5, 6)
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"^no memory left; .* kept in .*; try weights in fp8"):
        train(model, "never enough")
    tries = [text.rpartition(" with ")[2] for text in caplog.messages if "ran out of memory" in text]
    assert tries == [
        "checkpointing blocks",
        "checkpointing blocks, offloaded",
    ]


def test_a_second_try_that_cannot_begin_is_a_failed_run(model, monkeypatch):
    failing(monkeypatch, torch.cuda.OutOfMemoryError("no memory left"), 4)
    load, count, told = training.load_for_training, [], []

    def second_fails(*args: Any) -> Any:
        count.append(1)
        if len(count) == 2:
            raise RuntimeError("the model cannot be loaded")
        return load(*args)

    monkeypatch.setattr(training, "load_for_training", second_fails)
    monkeypatch.setattr(run_attempts.Monitors, "ended", lambda _self, *values: told.append(values))
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        train(model, "no second")
    record = json.loads((runs_folder() / "no second" / "run.json").read_text())
    assert (record["state"], record["step"]) == ("failed", 3)
    assert told == [("failed", "the run could not go on (the model cannot be loaded)")]
    assert same(train(model, "no second")[0], train(model, "no failure")[0])


def test_an_order_to_stop_outlives_a_step_that_ran_out_of_memory(model, monkeypatch):
    failing(monkeypatch, torch.cuda.OutOfMemoryError("no memory left"), 4)
    leaner = run_attempts.next_way

    def stopped_meanwhile(way: Any, placed: Any, run: Any, error: BaseException) -> Any:
        assert stop.request_stop(run.folder.id)
        return leaner(way, placed, run, error)

    monkeypatch.setattr(run_attempts, "next_way", stopped_meanwhile)
    _lora, loss, steps, *_ = train(model, "stopped meanwhile")
    assert steps == len(loss["loss"]) == 4
    assert json.loads((runs_folder() / "stopped meanwhile" / "run.json").read_text())["state"] == "stopped"


def test_a_foreign_run_folder_is_refused_before_anything_is_trained(model):
    (runs_folder() / "foreign").mkdir(parents=True)
    (runs_folder() / "foreign" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="the folder foreign holds files but no run of this pack"):
        train(model, "foreign")
    assert not LORA.files("foreign").exists()


def test_a_run_whose_states_are_all_damaged_says_so(model, monkeypatch):
    cancelled(monkeypatch, model, "damaged", 3)
    for path in (runs_folder() / "damaged" / "states").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint of the run damaged can be read"):
        train(model, "damaged")


def test_a_folder_that_cannot_be_written_costs_the_way_back_and_not_the_lora(model, caplog):
    runs_folder().parent.mkdir(parents=True)
    runs_folder().write_text("a file where the folder should be")
    _, _, steps, path, _ = train(model, "read only")
    assert steps == STEPS
    assert Path(path).exists()
    assert "so this run cannot be resumed" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk of its own is mounted on Linux only")
def test_on_a_disk_that_is_full_the_lora_is_kept_elsewhere(model, monkeypatch, tmp_path, caplog):
    disk = tmp_path / "small disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        folder_paths.set_output_directory(str(disk))
        monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
        lora, _, steps, path, _ = train(model, "full", rank=16, settings=TrainConfig(save_every=2))
        assert steps == STEPS
        assert not Path(path).is_relative_to(disk)
        assert not Path(path).is_relative_to(tmp_path / "temp")  # which is emptied at the next start
        assert same(load_lora(Path(path)), lora)
        assert "could not be saved" in caplog.text
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_run_folder_deleted_after_the_run_is_simply_a_new_run(model, monkeypatch):
    cancelled(monkeypatch, model, "deleted", 3)
    shutil.rmtree(runs_folder() / "deleted")
    assert same(train(model, "deleted")[0], train(model, "never deleted")[0])


def test_the_best_lora_is_put_beside_the_last_one(model, monkeypatch):
    losses = iter([5.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(run_job, "validation_losses", lambda *_: {"mean": next(losses)})
    lora, *_ = train(model, "best", settings=TrainConfig(validate_every=2), validation=encoded_pairs())
    (path,) = LORA.files("best").glob("best_best_*.safetensors")
    best = load_lora(path)
    assert record_of(best)["steps"] == "2"
    assert not same(best, lora)
    assert same(best, train(model, "two steps", steps=2)[0])


def test_the_model_and_the_runs_memory_are_let_go(model, monkeypatch):
    import gc
    import weakref

    made: list[Any] = []
    make = training.HostPredictor.__init__

    def remember(self: Any, patcher: Any) -> None:
        make(self, patcher)
        made.append(weakref.ref(self))

    monkeypatch.setattr(training.HostPredictor, "__init__", remember)
    gc.collect()
    gc.disable()  # what only the collector would find is not let go
    try:
        train(model, "let go")
        assert made[0]() is None
    finally:
        gc.enable()


def test_an_unfinished_run_is_told_only_where_it_is_the_same(caplog):
    config, identity = TrainConfig(), {"task": "x"}
    folder = runs_folder() / "thing_00001"
    folder.mkdir(parents=True)
    record = {"config": config.to_dict(), "identity": identity, "step": 4, "state": "cancelled"}
    (folder / "run.json").write_text(json.dumps(record))
    with run_opening.opened_run("", "thing", TrainConfig(rank=2), identity):
        assert "thing_00001" not in caplog.text
    with run_opening.opened_run("", "thing", config, identity) as opened:
        assert opened.folder.name == "thing_00002"
    assert "thing_00001" in caplog.text


def test_a_run_that_another_process_trains_is_refused(model):
    with locked_run(runs_folder() / "taken"), pytest.raises(ValueError, match="is being trained by another ComfyUI"):
        train(model, "taken")
    train(model, "taken")


def test_previews_are_made_of_the_run_and_change_nothing(model):
    settings = TrainConfig(sample_every=3, ema_decay=0.9)
    lora = train(model, "previewed", settings=settings)[0]
    files = sorted(path.name for path in (runs_folder() / "previewed" / "samples").iterdir())
    assert files == ["000003.mp4", "000006.mp4"]
    assert same(lora, train(model, "not previewed", settings=TrainConfig(ema_decay=0.9))[0])


def test_the_host_runs_the_node_again_once_its_run_has_gone_on():
    from pack.nodes.host.runs.opening import runs_folder, runs_stamp
    from pack.nodes.tic_ft_train import TICFTTrain

    assert TICFTTrain.fingerprint_inputs(run_name="") == TICFTTrain.fingerprint_inputs(run_name=None) == "[]"
    folder = runs_folder() / "stamped_high_noise"
    folder.mkdir(parents=True)
    before = runs_stamp("stamped")
    for step in (3, 4):
        (folder / "run.json").write_text(json.dumps({"id": "0" * 32, "state": "stopped", "step": step}))
        assert runs_stamp("stamped") != before
        before = runs_stamp("stamped")
