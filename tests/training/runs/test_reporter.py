"""What happens in a run as entries: the same numbers for every sink."""

from __future__ import annotations

import json
import math

import pytest
from monitored_runs import Clock, FakeRun, config, record

from pack.training.runs.log import LOG_FILE, LogFile, read_entries
from pack.training.runs.metrics import Smoothed
from pack.training.runs.reporter import MOST_NUMBERS, Reporter


class Kept:
    """A sink that keeps what it gets; ``earlier`` is what it knows of the run already."""

    def __init__(self, earlier: list | None = None, failing: bool = False) -> None:
        self.earlier, self.failing = earlier, failing
        self.entries: list[dict] = []
        self.given: list[dict] | None = None

    def begin(self, _run, _step, earlier):
        self.given = earlier
        return earlier if self.earlier is None else self.earlier

    def add(self, entry):
        if self.failing:
            raise RuntimeError("broken")
        self.entries.append(entry)


def started(tmp_path, *sinks, step=0, steps=800, **more):
    reporter = Reporter(sinks, **more)
    reporter.started(FakeRun(tmp_path), config(steps), step)
    return reporter


def test_a_run_begins_with_who_it_is_and_what_it_is_asked_for(tmp_path):
    sink = Kept()
    started(tmp_path, sink)
    (entry,) = sink.entries
    assert (entry["kind"], entry["step"], entry["steps"], entry["name"]) == ("started", 0, 800, "a run")
    assert entry["run"] == FakeRun(tmp_path).id
    assert entry["config"]["learning_rate"] == config().learning_rate
    assert entry["text"] == "started, 800 steps"


def test_a_run_begins_with_where_it_was_ordered(tmp_path):
    sink = Kept()
    started(tmp_path, sink, place={"node": "3:2", "workflow": "w-1"})
    assert (sink.entries[0]["node"], sink.entries[0]["workflow"]) == ("3:2", "w-1")


def test_a_step_tells_loss_level_pace_memory_and_time_left(tmp_path):
    clock, sink = Clock(), Kept()
    reporter = started(tmp_path, sink, steps=12, memory=lambda: 77, clock=clock)
    clock.now += 1000.0  # encoding and the first validation, which do not come again
    for step, seconds, pause in [(1, 2.0, 0.0), (2, 2.0, 6.0)]:
        clock.now += seconds + pause
        reporter.step(step, record(0.5, seconds=seconds, sigma=[0.9], grad_norm=math.inf))
    entry = sink.entries[-1]
    assert entry["loss"] == 0.5
    assert entry["smoothed"] == 0.5
    assert entry["buckets"] == [None, None, None, 0.5]
    assert entry["sigma"] == [0.9]
    assert entry["clips"] == [0]
    assert entry["grad_norm"] is None
    assert entry["seconds_per_step"] == 2.0
    assert entry["seconds_left"] == 10 * (2.0 + 6.0 / 2)
    assert entry["peak_memory"] == 77
    json.dumps(sink.entries, allow_nan=False)


def test_a_skipped_step_is_counted_and_is_in_no_mean(tmp_path):
    sink = Kept()
    reporter = started(tmp_path, sink)
    reporter.step(1, record(1.0))
    for step in (2, 3):
        reporter.step(step, record(math.nan, skipped=True))
    assert [entry.get("text") for entry in sink.entries[2:]] == [
        "skipped 1 non-finite step",
        "skipped 2 non-finite steps",
    ]
    assert sink.entries[-1]["loss"] is None
    assert sink.entries[-1]["smoothed"] == 1.0
    assert sink.entries[-1]["skipped"] is True


def test_a_step_skipped_for_its_gradient_is_in_no_mean_either(tmp_path):
    sink = Kept()
    reporter = started(tmp_path, sink)
    reporter.step(1, record(1.0))
    reporter.step(2, record(9.0, skipped=True))
    assert sink.entries[-1]["smoothed"] == 1.0


def test_a_resumed_run_goes_on_smoothing_where_it_was(tmp_path):
    whole, losses = Smoothed(), [3.0, 1.0, 2.0, 5.0]
    first = Kept()
    reporter = started(tmp_path, first)
    for step, loss in enumerate(losses[:3], 1):
        reporter.step(step, record(loss))
    again, behind = Kept(earlier=first.entries), Kept()
    resumed = started(tmp_path, again, behind, step=3)
    resumed.step(4, record(losses[3]))
    assert behind.given == first.entries
    assert behind.entries[0]["text"] == "resumed at 3 of 800"
    expected = [whole.add(loss) for loss in losses]
    assert behind.entries[-1]["smoothed"] == pytest.approx(expected[-1], rel=1e-5)


def test_a_step_of_very_many_clips_is_one_readable_line_of_means(tmp_path):
    """What a resumed run reads is what the others were told."""
    count = 1001
    levels = [i / (count - 1) for i in range(count)]
    many = record(0.5, per_sample=[2 * level for level in levels], sigma=levels, clips=list(range(count)))
    sink = Kept()
    reporter = started(tmp_path, LogFile(), sink)
    reporter.step(1, many)
    (written,) = [entry for entry in read_entries(tmp_path / LOG_FILE) if entry["kind"] == "step"]
    assert written == sink.entries[-1]
    assert written["counts"] == [250, 250, 250, 251]
    assert written["clips"] == []
    assert written["sigma"] == pytest.approx([0.1245, 0.3745, 0.6245, 0.875])
    assert written["per_sample"] == pytest.approx([0.249, 0.749, 1.249, 1.75])
    assert written["buckets"] == written["per_sample"]
    assert (tmp_path / LOG_FILE).stat().st_size < 4000
    again = Kept()
    resumed = started(tmp_path, LogFile(), again, step=1)
    for each in (reporter, resumed):
        each.step(2, record(0.25, sigma=[0.1]))
    assert again.entries[-1]["buckets"] == sink.entries[-1]["buckets"]


@pytest.mark.parametrize("frames", [0, 41])
def test_as_many_clips_as_are_listed_fit_into_a_line(tmp_path, frames):
    count = MOST_NUMBERS // (frames + 2 if frames else 3)
    wide = 1.23457e-07
    levels = [[wide] * frames for _ in range(count)] if frames else [wide] * count
    reporter = started(tmp_path, LogFile())
    reporter.step(1, record(0.5, per_sample=[wide] * count, sigma=levels, clips=[10**10] * count))
    (entry,) = [entry for entry in read_entries(tmp_path / LOG_FILE) if entry["kind"] == "step"]
    assert len(entry["clips"]) == len(entry["per_sample"]) == count
    assert "counts" not in entry


def test_a_sample_is_named_from_the_folder_of_the_run_where_it_lies_there(tmp_path):
    sink = Kept()
    reporter = started(tmp_path / "run", sink)
    reporter.sampled(4, tmp_path / "run" / "samples" / "000004.mp4")
    reporter.sampled(5, tmp_path / "elsewhere.mp4")
    files = [entry["file"] for entry in sink.entries[1:]]
    assert files == ["samples/000004.mp4", (tmp_path / "elsewhere.mp4").as_posix()]


def test_validation_notes_and_the_end_are_told_at_their_step(tmp_path):
    sink = Kept()
    reporter = started(tmp_path, sink)
    reporter.step(1, record())
    reporter.validated(1, {"mean": 0.25, "0.8": math.nan})
    reporter.note("save", "saved: a.safetensors")
    reporter.ended("stopped", "stopped at 1 of 800")
    validation, note, ended = sink.entries[-3:]
    assert (validation["kind"], validation["losses"]) == ("validation", {"mean": 0.25, "0.8": None})
    assert (note["kind"], note["note"], note["text"], note["step"]) == ("note", "save", "saved: a.safetensors", 1)
    assert (ended["kind"], ended["state"], ended["step"]) == ("ended", "stopped", 1)


def test_a_sink_that_fails_is_left_out_and_the_others_are_told(tmp_path, caplog):
    broken, other = Kept(failing=True), Kept()
    reporter = started(tmp_path, broken, other)
    reporter.note("save", "saved")
    assert [entry["kind"] for entry in other.entries] == ["started", "note"]
    assert caplog.text.count("Kept failed and is left out of this run") == 1


def test_a_run_that_fails_before_it_begins_has_nothing_to_tell():
    sink = Kept()
    Reporter([sink]).ended("failed", "no data")
    assert sink.entries == []
