"""A run on the host's websocket: small, few, and to every tab."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from ....training.runs.control import SAMPLE, SAVE, STOP, request_sample, request_save, request_stop
from ....training.runs.log import LogFile
from ....training.runs.loss_plot import LossPlot
from ....training.runs.metrics import rounded
from ....training.runs.monitor import Monitor
from ....training.runs.reporter import Reporter, Sink
from .live_runs import Command, LiveRun, Stage, view_of

if TYPE_CHECKING:
    from ....training.runs.monitor import RunInfo
    from ....training.runs.reporter import Entry

EVENT = "fewshot_video.train"
INTERVAL = 0.2  # seconds between two events, of all runs together; at most 10 a second are allowed
LARGEST = 1000  # bytes of an event as it is sent
TEXTS, SHORTEST = ("text", "name"), 20  # what may be cut, and the characters that are left of it at least
NUMBERS = ("loss", "smoothed", "learning_rate", "seconds_per_step", "seconds_left", "peak_memory")

FURTHER_SINKS: list[Callable[[], Sink]] = []  # of a run outside the graph


def run_monitors(
    device: torch.device | str = "cpu",
    commands: Mapping[str, Command] | None = None,
    node: str | None = None,
    workflow: str = "",
    stage: Stage | None = None,
) -> list[Monitor]:
    """What watches a run in the host: log file, loss plot, history for the routes, events for the browser.

    Args:
        device: Where the model trains; its peak memory is reported.
        orders: What the routes ``stop``, ``save`` and ``sample`` call with the run's id; None: as the names say.
        node: Execution id of the node that trains; None takes the one the host is executing.
        workflow: Id of the workflow it lies in, as the page gave it; empty where there is none.
        stage: Which run of the node it is, where the node makes several.
    """
    commands = {STOP: request_stop, SAVE: request_save, SAMPLE: request_sample} if commands is None else commands
    live = LiveRun(executing_node() if node is None else node, commands, workflow, stage)
    sinks: list[Sink] = [LogFile(), live, LossPlot(live.history), Events(live), *(make() for make in FURTHER_SINKS)]
    return [Reporter(sinks, PeakMemory(torch.device(device)), place=live.place)]


class Events:
    """The sink that tells the browser where a run stands.

    Every event says all of it, so one that comes too soon after the last is not queued: what is new waits, at most
    the rest of the interval, and is sent together. Runs take turns, so that a busy one cannot keep the end of
    another from being told.
    """

    latest = 0.0  # when the last event of any run was sent
    waiting: ClassVar[list[Events]] = []  # those with something new, in the order in which they got it
    timer: ClassVar[threading.Timer | None] = None
    lock = threading.Lock()

    def __init__(
        self,
        live: LiveRun,
        send: Callable[[str, dict[str, Any]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live, self.clock = live, clock
        self.send = broadcast if send is None else send
        self.news: dict[str, Any] = {}

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:  # noqa: ARG002 - a sink's order
        """Nothing is sent before the first entry."""
        return earlier

    def add(self, entry: Entry) -> None:
        """Tell an entry, or let it wait."""
        news: dict[str, Any] = {entry["kind"]: True}
        if entry["kind"] == "validation":
            news["validation"] = {name: rounded(loss) for name, loss in list(entry["losses"].items())[:8]}
        if entry["kind"] == "sample":
            news["sample"] = view_of(self.live.folder / entry["file"]) or True
        with self.lock:
            self.news |= news
            if self not in self.waiting:
                self.waiting.append(self)
            self._take_turn()

    def _take_turn(self) -> None:
        """Have the first in line tell what is new, now or as soon as the interval is over; the lock is held."""
        wait = Events.latest + INTERVAL - self.clock()
        if wait <= 0:
            Events.latest, wait = self.clock(), INTERVAL
            self.waiting.pop(0)._tell()
        if self.waiting and Events.timer is None:
            Events.timer = threading.Timer(wait, self._later)
            Events.timer.daemon = True
            Events.timer.start()

    def _tell(self) -> None:
        news, self.news = self.news, {}
        self.send(EVENT, fitted({**self.live.summary(), "news": news}))

    def _later(self) -> None:
        with self.lock:
            Events.timer = None
            if self.waiting:
                self.waiting[0]._take_turn()


def fitted(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its texts shortened, and then its news told by their kind alone, so that it can be sent."""
    event = {name: rounded(value) if name in NUMBERS else value for name, value in event.items()}
    while size_of(event) > LARGEST:
        longest = max(TEXTS, key=lambda name: len(event[name]))
        if len(event[longest]) > SHORTEST:
            event[longest] = event[longest][: max(SHORTEST, len(event[longest]) // 2)]
        elif event["news"] == (bare := dict.fromkeys(event["news"], True)):
            break
        else:
            event["news"] = bare
    return event


def size_of(event: dict[str, Any]) -> int:
    """Bytes of an event as the host sends it."""
    return len(json.dumps({"type": EVENT, "data": event}))


def broadcast(name: str, data: dict[str, Any]) -> None:
    """Send an event to every tab; without a server, as in tests, nothing happens."""
    server = prompt_server()
    if server is not None:
        server.send_sync(name, data)


def prompt_server() -> Any:
    """The host's server; None where there is none. It is not imported for that: it brings the whole web stack."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def executing_node() -> str:
    """Execution id of the node that runs in this thread, like ``3:2`` inside a subgraph; empty outside of one."""
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    return "" if context is None else str(context.node_id)


class PeakMemory:
    """Most memory in use so far, in bytes: on a GPU since the run began, else of the process since it began.

    None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def __call__(self) -> int | None:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return None if self.device.type != "cpu" else peak_of_process()


def peak_of_process() -> int | None:
    """Most memory the process has ever held, in bytes; None on Windows, which has another way of telling."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
