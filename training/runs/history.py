"""What can be shown of a run: short curves, the last notes, samples and its state in words. Bounded, whatever came."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .log import LOG_FILE, MEASURED, read_entries
from .metrics import Curve, bucket_labels, finite

if TYPE_CHECKING:
    from .monitor import RunInfo
    from .reporter import Entry

NOTES = 100  # the last ones
SAMPLES = 60  # the last ones
TEXT = 300  # characters of a note
NAME = 120  # characters of a name
CONFIG = 4000  # characters of the settings as JSON; longer ones are none of ours
NUMBERS = ("learning_rate", "seconds_per_step", "seconds_left", "peak_memory", "smoothed", "loss")


class History:
    """The sink that remembers. Entries may come from a file that somebody else wrote."""

    def __init__(self) -> None:
        self.run = self.name = self.text = self.state = ""
        self.node = self.workflow = ""  # ids of where the last session was ordered
        self.stage = self.stages = self.follows = ""  # of several runs one: its name, all names, id of the one before
        self.step = self.steps = self.skipped = 0
        self.began: float | None = None  # seconds since 1970 when the last session began
        self.config: dict[str, Any] = {}
        self.latest: dict[str, float | None] = dict.fromkeys(NUMBERS)
        self.curve, self.validation = Curve(), Curve()
        self.buckets: list[float | None] = []
        self.notes: deque[dict[str, Any]] = deque(maxlen=NOTES)
        self.samples: deque[dict[str, Any]] = deque(maxlen=SAMPLES)

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:  # noqa: ARG002 - a sink's order
        """Start afresh with the earlier entries."""
        self.__init__()
        for entry in earlier:
            self.add(entry)
        return earlier

    def add(self, entry: Entry) -> None:
        """Take an entry in; one of an unknown kind or with unusual values changes what can be read from it."""
        take = getattr(self, f"_take_{entry['kind']}", None)
        if take is None:
            return
        if entry["kind"] in MEASURED and entry["step"] < self.step:
            self._go_back(entry["step"] - 1)
        self.step = entry["step"]
        if entry.get("text"):
            self.text = _short(entry["text"], TEXT)
        take(entry)

    def _take_started(self, entry: Entry) -> None:
        self.run, self.name = _short(entry.get("run"), NAME), _short(entry.get("name"), NAME)
        self.node, self.workflow = _short(entry.get("node"), NAME), _short(entry.get("workflow"), NAME)
        self.stage, self.stages = _short(entry.get("stage"), NAME), _short(entry.get("stages"), NAME)
        self.follows = _short(entry.get("follows"), NAME)
        self.state = "running"
        self.steps = _count(entry.get("steps"))
        self.began = finite(entry.get("time"))
        self.config = _settings(entry.get("config"))
        self._note(entry, "started")

    def _take_step(self, entry: Entry) -> None:
        for name in NUMBERS:
            self.latest[name] = finite(entry.get(name))
        self.steps = _count(entry.get("steps")) or self.steps
        shares = entry.get("buckets")
        labels = bucket_labels()
        self.buckets = [finite(share) for share in shares[: len(labels)]] if isinstance(shares, list) else []
        row = {"loss": self.latest["loss"], "smoothed": self.latest["smoothed"]}
        row["learning_rate"] = self.latest["learning_rate"]
        self.curve.add(entry["step"], {**row, **dict(zip(labels, self.buckets, strict=False))})
        if entry.get("skipped"):
            self.skipped += 1
            self._note(entry, "skipped")

    def _take_validation(self, entry: Entry) -> None:
        losses = entry.get("losses")
        if isinstance(losses, dict):
            self.validation.add(entry["step"], {_short(name, NAME): loss for name, loss in losses.items()})

    def _take_sample(self, entry: Entry) -> None:
        if isinstance(entry.get("file"), str) and len(entry["file"]) <= TEXT:
            self.samples.append({"step": entry["step"], "file": entry["file"]})

    def _take_note(self, entry: Entry) -> None:
        self._note(entry, _short(entry.get("note"), NAME))

    def _take_ended(self, entry: Entry) -> None:
        self.state = _short(entry.get("state"), NAME) or "ended"
        self._note(entry, self.state)

    def _go_back(self, step: int) -> None:
        """The run went back to a checkpoint: what was measured after it is measured again."""
        self.curve.go_back(step)
        self.validation.go_back(step)
        self.samples = deque((sample for sample in self.samples if sample["step"] <= step), maxlen=SAMPLES)

    def _note(self, entry: Entry, kind: str) -> None:
        text = _short(entry.get("text"), TEXT)
        if text:
            self.notes.append({"step": entry["step"], "kind": kind, "text": text})

    def summary(self) -> dict[str, Any]:
        """The few values that say where a run stands; small enough to be sent at every step."""
        return {
            "run": self.run,
            "name": self.name,
            "node": self.node,
            "workflow": self.workflow,
            "stage": self.stage,
            "stages": self.stages,
            "follows": self.follows,
            "state": self.state,
            "text": self.text,
            "step": self.step,
            "steps": self.steps,
            "skipped": self.skipped,
            **self.latest,
        }

    def table(self) -> dict[str, Any]:
        """All there is to draw a run, ready for JSON."""
        return {
            **self.summary(),
            "began": self.began,
            "config": self.config,
            "curve": self.curve.table(),
            "bucket_labels": bucket_labels(),
            "buckets": self.buckets,
            "validation": self.validation.table(),
            "samples": list(self.samples),
            "notes": list(self.notes),
        }


def read_history(folder: Path) -> History:
    """History of a run's folder from its log; a session that never ended was interrupted."""
    return history_of(read_entries(folder / LOG_FILE))


def history_of(entries: Iterable[Entry]) -> History:
    """History of entries in order."""
    history = History()
    for entry in entries:
        history.add(entry)
    if history.state == "running":
        history.state = "interrupted"
        history.text = f"interrupted at {history.step} of {history.steps}"
    return history


def _short(value: Any, length: int) -> str:
    return value[:length] if isinstance(value, str) else ""


def _settings(value: Any) -> dict[str, Any]:
    try:
        fits = isinstance(value, dict) and len(json.dumps(value, allow_nan=False)) <= CONFIG
    except (ValueError, RecursionError):
        fits = False
    return value if fits else {}


def _count(value: Any) -> int:
    number = finite(value)
    return max(0, int(number)) if number is not None else 0
