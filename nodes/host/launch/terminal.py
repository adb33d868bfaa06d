"""Where a run stands, in the terminal it was started from: a bar with the pace, the time left and the loss."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ....training.runs.monitor import RunInfo
    from ....training.runs.reporter import Entry

SHOWN, LOGGED = 0.5, 30.0  # seconds between two pictures of the bar, on a screen and in a file


class TerminalBar:
    """The sink that draws it; tqdm, which the host brings along, counts pace and time left."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.name, self.step = "", 0

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:
        """The bar begins where the run goes on."""
        self.name, self.step = run.name, step
        return earlier

    def add(self, entry: Entry) -> None:
        """Move the bar, and write what else is worth a line."""
        if entry["kind"] == "started":
            self._begin(int(entry["steps"]))
        if self.bar is None:
            return
        if entry["kind"] == "step":
            self.bar.set_postfix(loss=entry["smoothed"], refresh=False)
            self.bar.update(entry["step"] - self.bar.n)
        elif entry["kind"] == "validation":
            self.bar.write(f"validation loss after {entry['step']} steps: {entry['losses'].get('mean')}", sys.stderr)
        elif entry["kind"] == "ended":
            self.bar.close()
            self.bar = None
            sys.stderr.write(f"{self.name}: {entry['text']}\n")

    def _begin(self, steps: int) -> None:
        from tqdm import tqdm

        interval = SHOWN if sys.stderr.isatty() else LOGGED
        self.bar = tqdm(total=steps, initial=self.step, desc=self.name, unit="step", mininterval=interval)


def speak(rank: int, verbose: bool, pack: str) -> None:
    """Have the log go to the terminal: what ``pack`` says in process 0, and what goes wrong anywhere.

    The host logs the traceback of a node that fails; its sentence comes at the end.
    """
    logging.basicConfig(format=f"process {rank}: %(message)s" if rank else "%(message)s", force=True)
    logging.getLogger().setLevel(logging.INFO)

    def wanted(record: logging.LogRecord) -> bool:
        own = record.name.startswith(pack) and not rank
        return verbose or (record.module != "execution" and (own or record.levelno >= logging.WARNING))

    for handler in logging.getLogger().handlers:
        handler.addFilter(wanted)
