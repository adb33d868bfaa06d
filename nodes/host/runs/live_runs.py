"""Runs by their id: those of this session, and those whose folders are left from earlier ones."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....training.runs.history import History, history_of, read_history
from ....training.runs.log import LOG_FILE, read_ends, read_entries
from .opening import runs_folder

if TYPE_CHECKING:
    from ....training.runs.monitor import RunInfo
    from ....training.runs.reporter import Entry

log = logging.getLogger(__name__)

KEPT = 20  # ended runs of this session that are kept in memory
LISTED = 50  # runs in a list, the newest ones
SEARCHED = 500  # run folders that are looked into

Command = Callable[[str], bool]  # takes the run's id; False where it does not go on

RUNS: dict[str, LiveRun] = {}  # of this session, by id
_lock = threading.Lock()


@dataclass(frozen=True)
class Stage:
    """Which run of a node that makes several, one after the other."""

    name: str
    order: tuple[str, ...]  # names of all of them
    follows: str = ""  # id of the run before it; empty where it is the first

    @property
    def next(self) -> str:
        """Name of the run after it; empty where it is the last."""
        return next(iter(self.order[self.order.index(self.name) + 1 :]), "")

    @property
    def place(self) -> dict[str, str]:
        """For those who draw it, as text."""
        return {"stage": self.name, "stages": ", ".join(self.order), "follows": self.follows}


class LiveRun:
    """The sink that makes a run known to the routes; written by the training thread, read by the server's."""

    def __init__(
        self,
        node: str = "",
        commands: Mapping[str, Command] | None = None,
        workflow: str = "",
        stage: Stage | None = None,
    ) -> None:
        """Take the ids of the node that trains and of its workflow, and what can be asked of the run, by name."""
        self.stage = stage
        self.place = {"node": node, "workflow": workflow, **(stage.place if stage else {})}
        self.commands = dict(commands or {})
        self.history = History()
        self.folder = Path()
        self.lock = threading.Lock()

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:
        """Be found by the run's id from now on."""
        with self.lock:
            self.folder = Path(run.folder)
            self.history.begin(run, step, earlier)
            self.history.run, self.history.name, self.history.state = run.id, run.name, "running"
        with _lock:
            RUNS.pop(run.id, None)
            RUNS[run.id] = self
            ended = [key for key, other in RUNS.items() if not other.running]
            for key in ended[:-KEPT]:
                del RUNS[key]
        return earlier

    def add(self, entry: Entry) -> None:
        """Remember an entry."""
        with self.lock:
            self.history.add(entry)

    @property
    def running(self) -> bool:
        """Whether the run takes commands."""
        return self.history.state == "running"

    def summary(self) -> dict[str, Any]:
        """Where the run stands."""
        with self.lock:
            return {**self.history.summary(), **self.place, "live": self.running}

    def table(self) -> dict[str, Any]:
        """All there is to draw the run."""
        with self.lock:
            table = self.history.table()
        return _with_views({**table, **self.place, "live": self.running}, self.folder)


def live_run(run_id: str) -> LiveRun | None:
    """A run of this session."""
    with _lock:
        return RUNS.get(run_id)


def run_table(run_id: str) -> dict[str, Any] | None:
    """All there is to draw a run, whether it goes on, has ended or is from an earlier session; None: no such run.

    An id is compared with those that are known; it never becomes part of a path.
    """
    live = live_run(run_id)
    if live is not None:
        return live.table()
    folder = run_folder(run_id)
    return None if folder is None else _with_views({**_history(folder).table(), "live": False}, folder)


def run_folder(run_id: str) -> Path | None:
    """Folder of a run, looked up by its id; None where there is no such run."""
    live = live_run(run_id)
    if live is not None:
        return live.folder
    return next((folder for folder in run_folders() if run_id and _id_of(folder) == run_id), None)


def run_list() -> list[dict[str, Any]]:
    """Summaries of the newest runs, those of this session first."""
    with _lock:
        live = list(reversed(RUNS.values()))
    found = {run.history.run: run.summary() for run in live[:LISTED]}
    for folder in run_folders():
        if len(found) >= LISTED:
            break
        history = _history(folder, ends=True)
        if history.run:
            found.setdefault(history.run, {**history.summary(), "live": False})
    return list(found.values())


def run_folders() -> list[Path]:
    """Folders of runs that have a log, the newest first."""
    logs = sorted(_logs(), key=lambda found: found[0], reverse=True)
    return [path.parent for _, path in logs[:SEARCHED]]


def _logs() -> Iterator[tuple[float, Path]]:
    for path in runs_folder().glob(f"*/{LOG_FILE}"):
        try:
            yield path.stat().st_mtime, path
        except OSError:  # deleted meanwhile
            continue


def _id_of(folder: Path) -> str:
    """Id in the first line of a folder's log; nobody's where there is none."""
    try:
        found = next(read_entries(folder / LOG_FILE), {}).get("run")
    except OSError:
        return ""
    return found if isinstance(found, str) else ""


def _history(folder: Path, ends: bool = False) -> History:
    """What a folder's log says, all of it or its two ends; nothing where it cannot be read."""
    try:
        return history_of(read_ends(folder / LOG_FILE)) if ends else read_history(folder)
    except OSError as error:
        log.debug("the log of %s cannot be read (%s)", folder.name, error)
        return History()


def _with_views(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The table with what the host's ``/view`` wants to know of each sample; those it cannot show are left out."""
    found = [(sample["step"], view_of(folder / sample["file"])) for sample in table["samples"]]
    return {**table, "samples": [{"step": step, **view} for step, view in found if view is not None]}


def view_of(path: Path) -> dict[str, str] | None:
    """``filename``, ``subfolder`` and ``type`` of a file below the host's output or temp folder; None elsewhere."""
    import folder_paths

    places = {"output": folder_paths.get_output_directory(), "temp": folder_paths.get_temp_directory()}
    try:
        path = path.resolve()
        for kind, place in places.items():
            base = Path(place).resolve()
            if path.is_relative_to(base) and path.is_file():
                inside = path.relative_to(base)
                subfolder = "" if inside.parent == Path() else inside.parent.as_posix()
                return {"filename": inside.name, "subfolder": subfolder, "type": kind}
    except (OSError, ValueError, RuntimeError):  # a null byte, or a loop of links
        return None
    return None
