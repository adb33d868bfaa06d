"""``metrics.jsonl`` of a run: one JSON object a line, added to at every step, readable whatever happened.

A process that is killed leaves at most a torn last line, which readers skip and a resumed run cuts off together
with the steps that are done again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..storage.atomic import write_atomically
from ..storage.json_text import parse_json

if TYPE_CHECKING:
    from .monitor import RunInfo
    from .reporter import Entry

log = logging.getLogger(__name__)

LOG_FILE = "metrics.jsonl"
LONGEST = 64 * 1024  # bytes of a line; `Reporter` keeps its own well below
MOST_STEPS = 10**9  # no run is longer
TAIL = 64 * 1024  # bytes
FLUSH = 10.0  # seconds after which steps are forced onto the disk
MEASURED = ("step", "validation", "sample")  # kinds that are made again when their step is


class LogFile:
    """The sink that writes the file.

    Every line reaches the system at once, so that a killed process loses none, and the disk at what matters and
    every few seconds. A full disk is said once and costs lines, never the run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.path: Path | None = None
        self.clock = clock
        self.synced = clock()
        self.told = False  # that lines are being lost
        self.torn = False  # whether the last line may be half written

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:  # noqa: ARG002 - it is the first
        """Take up the run's file at ``step``; one of a run that starts over is kept under a number."""
        self.path = Path(run.folder) / LOG_FILE
        # Not later: a folder that was deleted meanwhile must not come back with a log and nothing else.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if step == 0:
            _put_aside(self.path)
            return []
        return cut_log(self.path, step)

    def add(self, entry: Entry) -> None:
        """Write a line."""
        line = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            self.write_line(line, sync=entry.get("kind") != "step" or self.clock() - self.synced >= FLUSH)
        except OSError as error:
            self.torn = True
            if not self.told:
                log.warning("%s cannot be written (%s); the run goes on without its lines", LOG_FILE, error)
            self.told = True

    def write_line(self, line: bytes, sync: bool) -> None:
        """Append a line, and wait until the disk has it where ``sync`` is set.

        Raises:
            OSError: the run has no folder yet, or the disk does not take it.
        """
        if self.path is None:
            raise OSError("the run has no folder yet")
        with self.path.open("ab") as file:
            file.write(b"\n" + line if self.torn else line)
            file.flush()
            if sync:
                os.fsync(file.fileno())
                self.synced = self.clock()
        self.torn = False


def read_entries(path: Path, start: int = 0) -> Iterator[Entry]:
    """Entries of a file in order; a torn, foreign or overlong line is skipped, a missing file has none.

    ``start`` is the byte to begin at; the line it lies in is skipped as a torn one.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        file.seek(start)
        while line := file.readline(LONGEST + 1):
            if len(line) > LONGEST:
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                continue
            entry = _entry(line)
            if entry is not None:
                yield entry


def read_ends(path: Path, size: int = TAIL) -> Iterator[Entry]:
    """The first entry of a file and those of its last ``size`` bytes: where a run stands, without reading it all."""
    try:
        length = path.stat().st_size
    except OSError:
        return
    if length <= 2 * size:
        yield from read_entries(path)
        return
    yield from islice(read_entries(path), 1)
    yield from read_entries(path, length - size)


def cut_log(path: Path, step: int) -> list[Entry]:
    """Keep what is true of a run that goes on after ``step`` steps, and return it.

    Measurements of later steps go, because those are made again; notes stay. The file is replaced whole.
    """
    kept = [entry for entry in read_entries(path) if entry["step"] <= step or entry["kind"] not in MEASURED]
    lines = [json.dumps(entry, separators=(",", ":")) + "\n" for entry in kept]
    data = "".join(lines).encode()
    if path.is_file() and path.read_bytes() != data:
        try:
            write_atomically(path, data)
        except OSError as error:  # somebody has it open; who reads it goes back where a resumed run does
            log.warning("%s could not be cut at step %d (%s)", path.name, step, error)
    return kept


def _entry(line: bytes) -> Entry | None:
    try:
        entry = parse_json(line, finite=True)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        return None
    step = entry.get("step")
    return entry if isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= MOST_STEPS else None


def _put_aside(path: Path) -> None:
    """Rename an earlier file to the first free number."""
    if not path.exists():
        return
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.replace(aside)
