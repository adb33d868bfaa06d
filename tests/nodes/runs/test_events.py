"""A run on the websocket: few and small events, and what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from monitored_runs import Clock, FakeRun, config, record
from patience import PATIENCE

from pack.nodes.host.runs import events
from pack.nodes.host.runs.events import EVENT, INTERVAL, LARGEST, Events, PeakMemory, executing_node, fitted, size_of
from pack.nodes.host.runs.live_runs import LiveRun
from pack.training.runs.reporter import Reporter


class Sent(list):
    """What was sent, and when: as the sender has it, since a busy machine may let this thread wait afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.changed = threading.Condition()

    def __call__(self, name: str, data: dict) -> None:
        assert name == EVENT
        with self.changed:
            self.append(data)
            self.times.append(Events.latest)
            self.changed.notify_all()

    def wait_for(self, kind: str) -> bool:
        """Whether something new of this kind is reported; a minute is long enough for any machine."""
        with self.changed:
            return self.changed.wait_for(lambda: any(kind in data["news"] for data in self), timeout=PATIENCE)


@pytest.fixture
def sent() -> Iterator[Sent]:
    forget_events()  # those of a run of another test may still wait
    yield Sent()
    forget_events()


def forget_events() -> None:
    with Events.lock:
        Events.waiting.clear()
        Events.latest = 0.0
        if Events.timer is not None:
            Events.timer.cancel()
            Events.timer = None


def reporter(tmp_path, sent, clock=time.monotonic, name="a run") -> Reporter:
    live = LiveRun("3:2", workflow="w" * 64)
    made = Reporter([live, Events(live, sent, clock)])
    made.started(FakeRun(tmp_path, name=name), config(800), 0)
    return made


def test_an_event_says_where_the_run_stands(tmp_path, sent):
    clock = Clock()
    clock.now = Events.latest + 1000
    run = reporter(tmp_path, sent, clock)
    clock.now += 1
    run.step(7, record(0.5, learning_rate=2e-4, seconds=0.25))
    event = sent[-1]
    assert (event["run"], event["name"], event["node"]) == (FakeRun(tmp_path).id, "a run", "3:2")
    assert (event["state"], event["live"], event["text"]) == ("running", True, "started, 800 steps")
    assert (event["step"], event["steps"]) == (7, 800)
    assert (event["loss"], event["smoothed"], event["learning_rate"]) == (0.5, 0.5, 2e-4)
    assert (event["seconds_per_step"], event["seconds_left"]) == (0.25, 793 * 0.25)
    assert event["news"] == {"step": True}


def test_a_fast_run_sends_at_most_ten_events_a_second_and_its_end_arrives(tmp_path, sent):
    run = reporter(tmp_path, sent)
    begun = time.monotonic()
    for step in range(1, 2001):
        run.step(step, record(1 / step))
    run.validated(2000, {"mean": 0.25})
    run.ended("finished", "saved: a.safetensors")
    assert sent.wait_for("ended")
    assert len(sent) <= 2 + (time.monotonic() - begun) / INTERVAL
    assert all(later - sooner >= INTERVAL >= 0.1 for sooner, later in zip(sent.times, sent.times[1:], strict=False))
    assert (sent[-1]["state"], sent[-1]["text"], sent[-1]["step"]) == ("finished", "saved: a.safetensors", 2000)
    assert sent[-1]["news"]["validation"] == {"mean": 0.25}


def test_two_runs_share_the_limit(tmp_path, sent):
    for name in ("one", "two", "three"):
        reporter(tmp_path, sent, name=name).ended("finished", name)
    assert sent.wait_for("ended")
    deadline = time.monotonic() + PATIENCE
    while {event["text"] for event in sent if "ended" in event["news"]} != {"one", "two", "three"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert all(later - sooner >= INTERVAL >= 0.1 for sooner, later in zip(sent.times, sent.times[1:], strict=False))


def test_a_busy_run_does_not_keep_the_end_of_another_from_being_told(tmp_path, sent):
    clock = Clock()
    clock.now = Events.latest + 1000
    busy, ended = (reporter(tmp_path, sent, clock, name) for name in ("busy", "ended"))
    ended.ended("finished", "done")
    clock.now += 1
    busy.step(1, record())
    assert [(event["name"], event["text"]) for event in sent] == [("busy", "started, 800 steps"), ("ended", "done")]


def test_what_is_new_is_told_although_no_step_follows(tmp_path, sent):
    run = reporter(tmp_path, sent)
    run.step(1, record())
    run.note("save", "saved: a run 1")
    assert sent.wait_for("note")
    assert sent[-1]["text"] == "saved: a run 1"


def test_a_sample_is_told_with_what_the_hosts_view_needs(sent, host_base):
    folder = host_base / "output" / "fewshot_video" / "runs" / "shown"
    path = folder / "samples" / "000003.mp4"
    path.parent.mkdir(parents=True)
    path.touch()
    run = reporter(folder, sent)
    run.sampled(3, path)
    assert sent.wait_for("sample")
    (news,) = [event["news"]["sample"] for event in sent if "sample" in event["news"]]
    assert news == {"filename": "000003.mp4", "subfolder": "fewshot_video/runs/shown/samples", "type": "output"}


@pytest.mark.parametrize("text", ["x" * 5000, "走" * 5000, "ü" * 400])
def test_an_event_is_never_larger_than_a_kilobyte(tmp_path, sent, text):
    run = reporter(tmp_path, sent, name=text)
    run.step(1, record(1 / 3, learning_rate=1 / 3e5, seconds=1 / 7))
    run.validated(1, {f"{text}{i}": 1 / 3 for i in range(50)})
    run.note("note", text)
    run.ended("finished", text)
    assert sent.wait_for("ended")
    assert max(size_of(event) for event in sent) <= LARGEST
    assert sent[-1]["run"] == FakeRun(tmp_path).id


def test_what_does_not_fit_is_left_out_last():
    event = {"run": "a", "text": "t" * 600, "name": "n" * 600, "loss": 1 / 3, "news": {"sample": {"filename": "f"}}}
    small = fitted(event)
    assert small["news"] == event["news"]
    assert small["loss"] == 0.333333
    assert 20 <= len(small["text"]) < 600


def test_without_a_server_events_go_nowhere(tmp_path):
    live = LiveRun()
    run = Reporter([live, Events(live)])
    run.started(FakeRun(tmp_path), config(), 0)
    run.ended("finished", "done")
    assert live.history.state == "finished"


def test_the_node_is_the_one_the_host_executes():
    from comfy_execution.utils import CurrentNodeContext

    assert executing_node() == ""
    with CurrentNodeContext("prompt", "3:2", 0):
        assert executing_node() == "3:2"


def test_peak_memory_of_the_process_grows_with_what_it_holds():
    peak = PeakMemory(torch.device("cpu"))
    before = peak()
    if before is None:
        pytest.skip("this system does not tell the peak of a process")
    assert 10**7 < before < 10**13
    block = torch.ones(300 * 2**20, dtype=torch.uint8)
    assert peak() >= before
    assert peak() >= block.nbytes


def test_the_monitors_of_a_run_write_its_log_and_its_plot(tmp_path):
    (monitor,) = events.run_monitors("cpu")
    monitor.started(FakeRun(tmp_path), config(), 0)
    monitor.step(1, record())
    monitor.ended("finished", "done")
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "loss.png"}
