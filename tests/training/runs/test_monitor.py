"""Several monitors as one: each gets everything, and none can cost the run."""

from __future__ import annotations

import pytest
from monitored_runs import FakeRun, config, record

from pack.training.core.loop import Cancelled
from pack.training.runs.monitor import Monitors


class Listener:
    """Notes what it gets, and fails when it gets ``failing``."""

    def __init__(self, failing: str = "", error: BaseException | None = None) -> None:
        self.heard: list[str] = []
        self.failing, self.error = failing, error or RuntimeError("broken")

    def __getattr__(self, what: str):
        def hear(*_values):
            self.heard.append(what)
            if what == self.failing:
                raise self.error

        return hear


def tell_all(monitors: Monitors, folder) -> None:
    monitors.started(FakeRun(folder), config(), 0)
    monitors.step(1, record())
    monitors.validated(1, {"mean": 0.5})
    monitors.sampled(1, folder / "a.mp4")
    monitors.note("save", "saved")
    monitors.ended("finished", "done")


ALL = ["started", "step", "validated", "sampled", "note", "ended"]


def test_every_monitor_is_told_everything_in_order(tmp_path):
    listeners = [Listener(), Listener()]
    tell_all(Monitors(listeners), tmp_path)
    assert [listener.heard for listener in listeners] == [ALL, ALL]


@pytest.mark.parametrize("what", ALL)
def test_a_monitor_that_fails_is_left_out_and_the_others_go_on(tmp_path, caplog, what):
    broken, other = Listener(failing=what), Listener()
    tell_all(Monitors([broken, other]), tmp_path)
    assert broken.heard == ALL[: ALL.index(what) + 1]
    assert other.heard == ALL
    assert "Listener failed and is left out of this run" in caplog.text


@pytest.mark.parametrize("order", [Cancelled("stop"), KeyboardInterrupt()])
def test_an_order_of_the_user_passes_through(order):
    with pytest.raises(type(order)):
        Monitors([Listener("note", order)]).note("save", "saved")
