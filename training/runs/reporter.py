"""From what happens in a run to entries: one line of the log each, and what the history and the browser get."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .metrics import Pace, SigmaBuckets, Smoothed, rounded, share_means

if TYPE_CHECKING:
    from ..core.config import TrainConfig
    from ..core.state import StepRecord
    from .monitor import RunInfo

log = logging.getLogger(__name__)

MOST_NUMBERS = 3000  # of a step's clips in one entry, 12 bytes each at most: half of the longest line of the log
Entry = dict[str, Any]  # one line of metrics.jsonl: "kind", "step" and what the kind has


class Sink(Protocol):
    """Takes the entries of a run: a file, a history, the browser."""

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:
        """A run begins, or goes on after ``step`` steps; returns the entries of earlier sessions that still count.

        ``earlier`` are those the sink before this one returned.
        """
        ...

    def add(self, entry: Entry) -> None:
        """Something happened."""
        ...


class Reporter:
    """The one monitor that computes: every sink gets the same numbers.

    Args:
        sinks: Get entries in this order; the first one knows what an earlier session of the run wrote.
        memory: Peak memory of the run in bytes, or None where it is not known.
        clock: Seconds that only rise.
        place: Where the run was started from: ``node`` and ``workflow``, each an id.
    """

    def __init__(
        self,
        sinks: Iterable[Sink],
        memory: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        place: Mapping[str, str] | None = None,
    ) -> None:
        self.sinks = list(sinks)
        self.place = dict(place or {})
        self.memory, self.clock = memory, clock
        self.smoothed, self.buckets, self.pace = Smoothed(), SigmaBuckets(), Pace()
        self.at = self.steps = self.skipped = 0
        self.folder = Path()
        self.begun = False
        self.last: float | None = None  # when the step before ended

    def started(self, run: RunInfo, config: TrainConfig, step: int) -> None:
        """Take up what an earlier session wrote, then say that the run starts or goes on."""
        self.at, self.steps, self.folder = step, config.steps, Path(run.folder)
        self.smoothed, self.buckets, self.pace, self.skipped = Smoothed(), SigmaBuckets(), Pace(), 0
        earlier, self.begun = [], True
        for sink in list(self.sinks):
            found = self._guarded(sink, "begin", run, step, earlier)
            earlier = earlier if found is None else found
        for entry in earlier:
            self._remember(entry)
        text = f"resumed at {step} of {config.steps}" if step else f"started, {config.steps} steps"
        about = {"run": run.id, "name": run.name, "steps": config.steps, "config": config.to_dict()}
        self._add("started", **self.place, **about, time=round(time.time(), 3), text=text)
        self.last = None

    def step(self, step: int, record: StepRecord) -> None:
        """Loss, smoothed losses, pace and memory of a step."""
        now = self.clock()
        # What lies before the first step does not come again, so it says nothing of the time left.
        wall, self.last = record.seconds if self.last is None else now - self.last, now
        self.at = step
        self.pace.add(record.seconds, wall)
        entry: Entry = {
            "steps": self.steps,
            "loss": rounded(record.loss),
            **_of_clips(record),
            "grad_norm": rounded(record.grad_norm),
            "learning_rate": rounded(record.learning_rate),
            "seconds": rounded(record.seconds),
            "seconds_per_step": rounded(self.pace.seconds_per_step),
            "seconds_left": rounded(self.pace.left(self.steps - step)),
            "peak_memory": self.memory(),
        }
        if record.skipped:
            entry |= {"skipped": True, "text": _skips(self.skipped + 1)}
        self._remember({**entry, "kind": "step"})
        self._add("step", **entry, smoothed=rounded(self.smoothed.value), buckets=self._shares())

    def validated(self, step: int, losses: dict[str, float]) -> None:
        """Losses on held-out clips."""
        self._add("validation", losses={name: rounded(loss) for name, loss in losses.items()}, step=step)

    def sampled(self, step: int, path: Path) -> None:
        """The file, below the run's folder where it lies there, else by its full path."""
        inside = path.is_relative_to(self.folder)
        file = path.relative_to(self.folder).as_posix() if inside else path.as_posix()
        self._add("sample", file=file, step=step)

    def note(self, kind: str, text: str) -> None:
        """A sentence on what happened."""
        self._add("note", note=kind, text=text)

    def ended(self, state: str, text: str) -> None:
        """The last entry."""
        self._add("ended", state=state, text=text, time=round(time.time(), 3))

    def _remember(self, entry: Entry) -> None:
        """Let a step count for the smoothed losses; what was skipped does not."""
        if entry.get("kind") != "step":
            return
        if entry.get("skipped"):
            self.skipped += 1
            return
        self.smoothed.add(entry.get("loss"))
        self.buckets.add(entry.get("per_sample") or [], entry.get("sigma") or [])

    def _shares(self) -> list[float | None]:
        return [rounded(share.value) for share in self.buckets.shares]

    def _add(self, kind: str, **values: Any) -> None:
        for sink in list(self.sinks) if self.begun else ():  # a run may end before it has a place to write to
            self._guarded(sink, "add", {"kind": kind, "step": self.at, **values})

    def _guarded(self, sink: Sink, what: str, *values: Any) -> Any:
        """A sink that fails is left out; the others go on."""
        try:
            return getattr(sink, what)(*values)
        except Exception:
            if sink in self.sinks:
                self.sinks.remove(sink)
            log.warning("%s failed and is left out of this run", type(sink).__name__, exc_info=True)


def _of_clips(record: StepRecord) -> Entry:
    """Loss, level and number of each clip; of too many for one line means over the shares of the noise levels.

    ``counts`` is there with the means and says of how many clips each is; ``clips`` is then empty.
    """
    levels = _levels(record.sigma)
    numbers = 2 * len(record.per_sample) + sum(len(level) if isinstance(level, list) else 1 for level in levels)
    if numbers <= MOST_NUMBERS:
        per_sample = [rounded(loss) for loss in record.per_sample]
        return {"per_sample": per_sample, "sigma": levels, "clips": list(record.clips)}
    means = share_means(record.per_sample, levels)
    return {
        "per_sample": [rounded(loss) for loss, _, _ in means],
        "sigma": [rounded(level) for _, level, _ in means],
        "counts": [count for _, _, count in means],
        "clips": [],
    }


def _levels(sigma: Iterable[Any]) -> list[Any]:
    return [_levels(level) if isinstance(level, (list, tuple)) else rounded(level) for level in sigma]


def _skips(count: int) -> str:
    return f"skipped {count} non-finite step{'s' * (count != 1)}"
