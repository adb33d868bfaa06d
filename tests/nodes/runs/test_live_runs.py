"""Runs by their id: those of this session, those left on the disk, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from monitored_runs import FakeRun, config, record

from pack.nodes.host.runs import live_runs
from pack.nodes.host.runs.live_runs import (
    KEPT,
    LiveRun,
    Stage,
    live_run,
    run_folder,
    run_folders,
    run_list,
    run_table,
    view_of,
)
from pack.nodes.host.runs.opening import runs_folder
from pack.training.runs.log import LogFile
from pack.training.runs.reporter import Reporter


@pytest.fixture(autouse=True)
def _no_runs(monkeypatch, tmp_path):
    """Nothing of other tests: an empty registry and an empty folder of runs."""
    monkeypatch.setattr(live_runs, "RUNS", {})
    monkeypatch.setattr(live_runs, "runs_folder", lambda: tmp_path / "runs")


def start(folder: Path, run_id: str, steps: int = 3) -> tuple[Reporter, LiveRun]:
    live = LiveRun("7", {"stop": lambda _run: True}, "w-1")
    reporter = Reporter([LogFile(), live], place=live.place)
    reporter.started(FakeRun(folder, run_id, folder.name), config(), 0)
    for step in range(1, steps + 1):
        reporter.step(step, record(1 / step))
    return reporter, live


def test_a_run_is_known_while_it_goes_on_and_afterwards(tmp_path):
    reporter, live = start(tmp_path / "runs" / "one", "a1")
    assert live_run("a1") is live
    assert live.running
    table = run_table("a1")
    assert (table["live"], table["node"], table["state"], table["step"]) == (True, "7", "running", 3)
    reporter.ended("finished", "done")
    assert not live.running
    assert (run_table("a1")["live"], run_table("a1")["state"]) == (False, "finished")


def test_a_run_of_an_earlier_session_is_read_from_its_folder(tmp_path, monkeypatch):
    reporter, _ = start(tmp_path / "runs" / "one", "a1")
    reporter.ended("finished", "done")
    live = run_table("a1")
    monkeypatch.setattr(live_runs, "RUNS", {})
    assert run_table("a1") == live
    assert (live["node"], live["workflow"]) == ("7", "w-1")
    assert [(run["node"], run["workflow"], run["live"]) for run in run_list()] == [("7", "w-1", False)]


def test_a_resumed_run_is_the_same_one_with_all_its_steps(tmp_path):
    start(tmp_path / "runs" / "one", "a1")
    live = LiveRun("8")
    again = Reporter([LogFile(), live])
    again.started(FakeRun(tmp_path / "runs" / "one", "a1", "one"), config(), 2)
    again.step(3, record(9.0))
    assert live_run("a1") is live
    assert run_table("a1")["curve"]["loss"] == [1.0, 0.5, 9.0]


@pytest.mark.parametrize("run", ["", "one", "../one", "b2", ".", "*"])
def test_what_is_no_id_is_no_run(tmp_path, run):
    start(tmp_path / "runs" / "one", "a1")
    assert run_table(run) is None
    assert live_run(run) is None


def test_the_list_has_every_run_once_the_newest_first(tmp_path, monkeypatch):
    for number, name in enumerate(["old", "older", "new"]):
        start(tmp_path / "runs" / name, f"id{number}")[0].ended("finished", "done")
    for name, age in [("old", 50), ("older", 90), ("new", 10)]:
        os.utime(tmp_path / "runs" / name / "metrics.jsonl", (1e9 - age, 1e9 - age))
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "no run" / "metrics.jsonl").write_text("[]\n")
    monkeypatch.setattr(live_runs, "RUNS", {"id1": live_run("id1")})
    found = run_list()
    assert [entry["name"] for entry in found] == ["older", "new", "old"]
    assert all(not entry["live"] and entry["steps"] == 800 and entry["step"] == 3 for entry in found)
    monkeypatch.setattr(live_runs, "LISTED", 2)
    assert [entry["name"] for entry in run_list()] == ["older", "new"]


def test_ended_runs_do_not_fill_the_memory_and_running_ones_stay(tmp_path):
    start(tmp_path / "runs" / "first", "first")
    for number in range(KEPT + 5):
        start(tmp_path / "runs" / str(number), str(number), steps=0)[0].ended("finished", "done")
    start(tmp_path / "runs" / "last", "last", steps=0)
    assert live_run("first") is not None
    assert live_run("0") is None
    assert len(live_runs.RUNS) == KEPT + 2


def test_a_run_tells_which_stage_of_its_node_it_is_also_after_a_restart(tmp_path, monkeypatch):
    stage = Stage("motion", ("appearance", "motion"), "a0")
    live = LiveRun("7", stage=stage)
    reporter = Reporter([LogFile(), live], place=live.place)
    reporter.started(FakeRun(tmp_path / "runs" / "one", "a1", "one"), config(), 0)
    told = ("motion", "appearance, motion", "a0")
    keys = ("stage", "stages", "follows")
    assert tuple(live.summary()[key] for key in keys) == told
    monkeypatch.setattr(live_runs, "RUNS", {})
    assert tuple(run_table("a1")[key] for key in keys) == told
    assert tuple(run_list()[0][key] for key in keys) == told
    assert stage.next == ""
    assert Stage("appearance", stage.order).next == "motion"


def test_the_folder_of_a_run_is_found_by_its_id(tmp_path, monkeypatch):
    start(tmp_path / "runs" / "one", "a1")
    assert run_folder("a1") == tmp_path / "runs" / "one"
    monkeypatch.setattr(live_runs, "RUNS", {})
    assert run_folder("a1") == tmp_path / "runs" / "one"
    for other in ("", "one", "../one", "b2"):
        assert run_folder(other) is None


def test_runs_lie_where_the_trainer_puts_them(host_base):
    assert runs_folder() == host_base / "output" / "fewshot_video" / "runs"


def test_without_runs_there_are_none():
    assert run_folders() == []
    assert run_list() == []


def test_samples_are_named_for_the_hosts_view_and_others_are_left_out(tmp_path, monkeypatch, host_base):
    folder = host_base / "output" / "fewshot_video" / "runs" / "with samples"
    monkeypatch.setattr(live_runs, "runs_folder", lambda: folder.parent)
    reporter, _ = start(folder, "a1")
    inside, spare, secret = folder / "samples" / "a.mp4", host_base / "temp" / "b.mp4", tmp_path / "c.mp4"
    for step, path in enumerate((inside, spare, secret, folder / "gone.mp4")):
        if path.name != "gone.mp4":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        reporter.sampled(3 + step, path)
    expected = [
        {"step": 3, "filename": "a.mp4", "subfolder": "fewshot_video/runs/with samples/samples", "type": "output"},
        {"step": 4, "filename": "b.mp4", "subfolder": "", "type": "temp"},
    ]
    assert run_table("a1")["samples"] == expected
    monkeypatch.setattr(live_runs, "RUNS", {})
    assert run_table("a1")["samples"] == expected


@pytest.mark.parametrize("name", ["../../../secret.mp4", "\x00", "link.mp4", "x" * 5000, "samples"])
def test_a_file_that_is_not_below_the_hosts_folders_has_no_view(tmp_path, host_base, name):
    folder = host_base / "output" / "fewshot_video" / "runs" / "links"
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    (tmp_path / "secret.mp4").touch()
    if not (folder / "link.mp4").is_symlink():
        (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (host_base / "secret.mp4").touch()
    assert view_of(folder / name) is None


def test_a_log_that_cannot_be_read_hides_no_other_run(tmp_path):
    start(tmp_path / "runs" / "one", "a1")[0].ended("finished", "done")
    (tmp_path / "runs" / "folder instead" / "metrics.jsonl").mkdir(parents=True)
    live_runs.RUNS.clear()
    assert run_table("a1") is not None
    assert [entry["name"] for entry in run_list()] == ["one"]
    json.dumps(run_list(), allow_nan=False)
