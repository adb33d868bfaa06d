"""What can be shown of a run: the same from the log as live, bounded, and safe whatever the log says."""

from __future__ import annotations

import json

import pytest
from monitored_runs import FakeRun, config, record

from pack.training.runs.history import History, history_of, read_history
from pack.training.runs.log import LOG_FILE, LogFile
from pack.training.runs.reporter import Reporter


def short_run(folder, steps: int = 6) -> tuple[History, Reporter]:
    """A run under way: its live history, and what tells it more."""
    history = History()
    reporter = Reporter([LogFile(), history])
    reporter.started(FakeRun(folder), config(800), 0)
    for step in range(1, steps + 1):
        reporter.step(step, record(1.0 / step, sigma=[step / 10]))
    reporter.validated(steps, {"mean": 0.5, "0.8": 0.75})
    reporter.sampled(steps, folder / "samples" / "a.mp4")
    reporter.note("save", "saved: a run 1")
    return history, reporter


def test_the_history_from_the_log_is_the_live_one(tmp_path):
    history, reporter = short_run(tmp_path)
    reporter.ended("finished", "saved: a.safetensors")
    assert read_history(tmp_path).table() == history.table()


def test_a_history_holds_what_a_panel_draws(tmp_path):
    history, _ = short_run(tmp_path)
    table = history.table()
    assert (table["run"], table["name"], table["state"]) == (FakeRun(tmp_path).id, "a run", "running")
    assert table["text"] == "saved: a run 1"
    assert (table["step"], table["steps"], table["loss"]) == (6, 800, pytest.approx(1 / 6, rel=1e-5))
    assert table["curve"]["steps"] == [1, 2, 3, 4, 5, 6]
    assert table["curve"]["loss"][0] == 1.0
    assert table["curve"]["0.50-0.75"] == [None] * 4 + [0.2, pytest.approx((0.97 * 0.2 + 1 / 6) / 1.97, rel=1e-5)]
    assert table["curve"]["learning_rate"] == [1e-4] * 6
    assert table["validation"] == {"steps": [6], "mean": [0.5], "0.8": [0.75]}
    assert table["samples"] == [{"step": 6, "file": "samples/a.mp4"}]
    assert [note["kind"] for note in table["notes"]] == ["started", "save"]
    assert table["config"]["steps"] == 800


def test_a_history_knows_where_its_run_was_ordered_last():
    begin = {"kind": "started", "step": 0, "run": "a", "steps": 9}
    assert history_of([begin]).summary()["node"] == ""
    found = history_of([{**begin, "node": "3", "workflow": "v"}, {**begin, "node": "4:1", "workflow": "w" * 999}])
    assert found.summary()["node"] == "4:1"
    assert found.summary()["workflow"] == "w" * 120
    assert history_of([{**begin, "node": {"a": 1}, "workflow": None}]).summary()["node"] == ""


def test_a_run_whose_log_has_no_end_was_interrupted(tmp_path):
    short_run(tmp_path)
    history = read_history(tmp_path)
    assert (history.state, history.text) == ("interrupted", "interrupted at 6 of 800")


def test_a_resumed_run_has_one_history(tmp_path):
    _, reporter = short_run(tmp_path)
    reporter.ended("cancelled", "cancelled at 6 of 800")
    history = History()
    again = Reporter([LogFile(), history])
    again.started(FakeRun(tmp_path), config(800), 4)
    assert (history.state, history.text, history.step) == ("running", "resumed at 4 of 800", 4)
    again.step(5, record(9.0))
    assert history.curve.table()["steps"] == [1, 2, 3, 4, 5]
    assert history.curve.table()["loss"][-1] == 9.0
    assert history.validation.table()["steps"] == []
    assert read_history(tmp_path).table()["curve"] == history.table()["curve"]


def test_a_run_that_went_back_is_drawn_without_what_was_undone(tmp_path):
    history, reporter = short_run(tmp_path)
    reporter.note("rewind", "back to step 3")
    reporter.step(4, record(7.0))
    assert history.step == 4
    assert history.curve.table()["steps"] == [1, 2, 3, 4]
    assert history.curve.table()["loss"][-1] == 7.0
    assert history.validation.table()["steps"] == []
    assert history.table()["samples"] == []
    assert read_history(tmp_path).table()["curve"] == history.table()["curve"]


def test_skipped_steps_are_counted_and_said(tmp_path):
    history, reporter = short_run(tmp_path)
    reporter.step(7, record(float("nan"), skipped=True))
    assert history.skipped == 1
    assert history.text == "skipped 1 non-finite step"
    assert history.notes[-1] == {"step": 7, "kind": "skipped", "text": "skipped 1 non-finite step"}


def test_a_history_of_a_very_long_run_stays_small():
    long = [
        {"kind": "step", "step": step, "steps": 10**6, "loss": step / 7, "smoothed": step / 9, "learning_rate": 1e-4,
         "buckets": [step / 3] * 4, "text": "x" * 5000, "skipped": step % 2 == 0}
        for step in range(1, 20001)
    ]  # fmt: skip
    more = [
        {"kind": "validation", "step": 20000 + i, "losses": {f"v{j}": 1 / 3 for j in range(99)}} for i in range(999)
    ]
    more += [{"kind": "sample", "step": 21000 + i, "file": f"{i}" * 40} for i in range(999)]
    history = history_of([*long, *more])
    assert len(json.dumps(history.table())) < 250_000
    assert len(json.dumps(history.summary())) < 1000


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "step", "step": 1, "loss": "much", "buckets": "none", "steps": [], "text": 5},
        {"kind": "step", "step": 1, "loss": 10**400, "buckets": [[1]], "steps": 10**400, "per_sample": None},
        {"kind": "started", "step": 0, "run": 7, "name": None, "config": [1], "time": "now", "steps": -5},
        {"kind": "started", "step": 0, "run": "x" * 9999, "name": "y" * 9999, "config": {"a": "z" * 9999}},
        {"kind": "validation", "step": 1, "losses": [1, 2]},
        {"kind": "validation", "step": 1, "losses": {"steps": 1, "mean": {}}},
        {"kind": "sample", "step": 1, "file": 3},
        {"kind": "sample", "step": 1},
        {"kind": "note", "step": 1},
        {"kind": "ended", "step": 1, "state": {}},
        {"kind": "__init__", "step": 1},
        {"kind": "of another version", "step": 1},
    ],
)
def test_an_unusual_entry_is_no_error_and_leaves_a_table_for_json(entry):
    history = history_of([entry, {"kind": "step", "step": 2, "loss": 0.5}])
    text = json.dumps(history.table(), allow_nan=False)
    assert len(text) < 5000
    assert history.step == 2


def test_a_log_of_another_tool_gives_an_empty_history(tmp_path):
    (tmp_path / LOG_FILE).write_text('{"loss": 1}\n')
    assert read_history(tmp_path).run == ""
