"""Time and memory of one call: how much it took, and what stops one that has no end."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from patience import PATIENCE

SECONDS, BYTES = 20.0, 2e9
COUNTED, USUAL = 2_000_000, 0.1  # turns of the loop below, and the seconds they took where SECONDS was chosen
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@cache
def seconds_allowed() -> float:
    """SECONDS of the machine on which they were chosen, in those of this one: no outcome depends on how fast it is.

    The shortest of three counts, as whatever else the machine does can only make one longer.
    """
    return SECONDS * max(1.0, min(_counting() for _ in range(3)) / USUAL)


def _counting() -> float:
    begun, total = time.process_time(), 0
    for number in range(COUNTED):
        total += number
    return time.process_time() - begun


def _status(name: str) -> float:
    """A size of this process in bytes, as Linux tells it."""
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0.0


def _forget_peak() -> bool:
    """Whether the system has set the most that was used back to what is used now."""
    try:
        REFS.write_text("5")
    except OSError:  # there is none on other systems, and some containers do not let it be written
        return False
    return True


class Memory:
    """The most that was used since it was made, above what was in use then.

    Linux can forget an earlier peak; elsewhere only a call that goes beyond it is seen.
    """

    def __init__(self) -> None:
        self.resets = _forget_peak()
        self.before = _status("VmRSS") if self.resets else self._peak()

    def used(self) -> float:
        """Bytes."""
        return self._peak() - self.before

    def _peak(self) -> float:
        if self.resets:
            return _status("VmHWM")
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Where Linux can, let what asks for several times BYTES fail by name, before the machine has none left."""
    if not STATUS.exists():
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(_status("VmSize") + 4 * BYTES), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def bounded_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a call never ends, say where it is and end the process; pytest-xdist names the test that it ran."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        errors = os.dup(2)  # what is written to the captured one would be lost
    faulthandler.dump_traceback_later(PATIENCE, exit=True, file=errors)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        os.close(errors)
