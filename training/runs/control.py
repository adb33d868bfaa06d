"""Commands to a run that is going on: end it, save it, show a preview. Given from any thread, taken between steps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOP, SAVE, SAMPLE = "stop", "save", "sample"

_runs: dict[str, RunControl] = {}
_lock = threading.Lock()


class RunControl:
    """Commands to one run."""

    def __init__(self, run_id: str) -> None:
        self.id = run_id
        self._commands: set[str] = set()

    def give(self, command: str) -> None:
        """Note a command; giving it twice is the same."""
        with _lock:
            self._commands.add(command)

    def wants(self, command: str) -> bool:
        """Whether the command was given and not yet taken."""
        with _lock:
            return command in self._commands

    def take(self, command: str) -> bool:
        """Whether the command was given since it was last taken."""
        with _lock:
            given = command in self._commands
            self._commands.discard(command)
        return given


@contextmanager
def registered(run_id: str) -> Iterator[RunControl]:
    """Let a run be found by its id while it goes on.

    Raises:
        ValueError: it goes on already.
    """
    control = RunControl(run_id)
    with _lock:
        if run_id in _runs:
            raise ValueError("this run goes on already; wait for its end, or give another run_name")
        _runs[run_id] = control
    try:
        yield control
    finally:
        with _lock:
            del _runs[run_id]


def request_stop(run_id: str) -> bool:
    """End a run after the step under way and return what it has learned; False where no such run goes on."""
    return _give(run_id, STOP)


def request_save(run_id: str) -> bool:
    """Save a run's state after the step under way; False where no such run goes on."""
    return _give(run_id, SAVE)


def request_sample(run_id: str) -> bool:
    """Make a preview after the step under way; False where no such run goes on."""
    return _give(run_id, SAMPLE)


def _give(run_id: str, command: str) -> bool:
    with _lock:
        control = _runs.get(run_id)
    if control is not None:
        control.give(command)
    return control is not None
