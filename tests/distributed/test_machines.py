"""Two network namespaces in the place of two machines: what each does when the line between them is cut."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import shared_engine
import shared_runs
from patience import PATIENCE

from pack.training.distributed import heartbeat
from pack.training.distributed.last_words import LEFT
from pack.training.distributed.processes import PeerLostError

NAMES = tuple(f"fewshot-{os.getpid()}-{end}" for end in "ab")  # another process may run the same test
ADDRESSES, LINES = ("10.231.7.1", "10.231.7.2"), ("fewshot0", "fewshot1")  # within these
MINUTE = 60  # seconds that docs/more_cards.md gives the others to end in


def ip(*words: str) -> int:
    """Run the system's ``ip``."""
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode


@pytest.fixture
def machines() -> Iterator[None]:
    """Two namespaces with a line between them."""
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed")
    if shutil.which("ip") is None or ip("netns", "add", NAMES[0]):
        pytest.skip("this system has no `ip netns`, or needs more rights for it")
    try:
        ip("netns", "add", NAMES[1])
        if ip("link", "add", LINES[0], "netns", NAMES[0], "type", "veth", "peer", "name", LINES[1], "netns", NAMES[1]):
            pytest.skip("this system has no veth devices")
        for name, address, line in zip(NAMES, ADDRESSES, LINES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", line)
            ip("-n", name, "link", "set", line, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in NAMES:
            ip("netns", "del", name)


def start(folder: Path, rank: int) -> subprocess.Popen[str]:
    """A process that trains without end on one of the machines."""
    place = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1, "MASTER_PORT": 29517}
    settings = {"MASTER_ADDR": ADDRESSES[0], "GLOO_SOCKET_IFNAME": LINES[rank], "OMP_NUM_THREADS": "1"}
    environment = os.environ | settings | {name: str(value) for name, value in place.items()}
    command = ["ip", "netns", "exec", NAMES[rank], sys.executable, shared_engine.__file__, str(folder), "--endless"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for_step(started: list[subprocess.Popen[str]], folder: Path, step: int) -> None:
    """Wait until both have done so many steps."""
    paths, pause = [folder / f"step_{rank}" for rank in range(2)], threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if all(path.exists() and int(path.read_text() or 0) >= step for path in paths):
            return
        assert all(process.poll() is None for process in started), shared_runs.finish(started)
        pause.wait(0.05)
    raise AssertionError("no step was done in time")


@pytest.mark.usefixtures("machines")
def test_machines_that_are_cut_from_each_other_end_with_a_sentence(tmp_path):
    started = [start(tmp_path, rank) for rank in range(2)]
    try:
        wait_for_step(started, tmp_path, 3)
        assert ip("-n", NAMES[1], "link", "set", LINES[1], "down") == 0
        ends = shared_runs.finish(started)
    finally:
        for process in started:
            process.kill()
    assert [code for code, _ in ends] == [1, 1], ends
    for _, said in ends:
        assert "another process of the run was lost" in said
        assert "start the same command again" in said


class Store:
    """The store of a group whose other process stops counting at a moment, in seconds of a clock that waits move on."""

    def __init__(self, cut: float, answers: bool) -> None:
        self.now, self.cut, self.answers = 0.0, cut, answers

    def add(self, key: str, amount: int) -> int:
        """The beats of a process so far; a store that is unplugged never answers."""
        if self.now > self.cut and not self.answers:
            raise Hangs
        if key == LEFT:
            return 0
        return 0 if amount else 1 + int(min(self.now, self.cut) / heartbeat.EVERY)

    def wait(self, seconds: float) -> bool:
        """Let time go by; the run is never over."""
        self.now += seconds
        return False


class Hangs(BaseException):
    """In the place of a call that never returns."""


@pytest.mark.parametrize("answers", [True, False], ids=["process 1 is cut off", "process 0 is, with the store"])
@pytest.mark.parametrize("cut", [30.0, 31.4, 32.9])
def test_beats_that_cease_are_noticed_in_time_to_end_within_a_minute(monkeypatch, cut, answers):
    store = Store(cut, answers)
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: store.now))
    beats = heartbeat.Heartbeats(0 if answers else 1, 2, device_waits=True)
    monkeypatch.setattr(beats, "_over", store)
    with contextlib.suppress(Hangs):
        beats._watch(store)  # ends where it finds a process lost
    while not beats.lost:  # who waits for an exchange, or for a device that hangs, looks this often at least
        store.wait(heartbeat.EVERY)
        with contextlib.suppress(PeerLostError):
            beats.check()
    assert "has given no sign" in beats.lost
    assert store.now - cut + heartbeat.GRACE < MINUTE
