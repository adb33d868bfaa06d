"""What happens in a run, for those that listen. A monitor never decides what is learned."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..core.config import TrainConfig
    from ..core.state import StepRecord

log = logging.getLogger(__name__)


class RunInfo(Protocol):
    """What a monitor needs to know of a run."""

    @property
    def id(self) -> str:
        """Letters and digits that name this run and no other, the same when it is resumed."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> Path: ...


class Monitor(Protocol):
    """Gets every event of a run in the order it happens, in the training thread."""

    def started(self, run: RunInfo, config: TrainConfig, step: int) -> None:
        """The run begins, ``step`` steps of it are done already."""
        ...

    def step(self, step: int, record: StepRecord) -> None:
        """Step number ``step``, counted from 1, is done."""
        ...

    def validated(self, step: int, losses: dict[str, float]) -> None:
        """Validation losses after ``step`` steps, by name."""
        ...

    def sampled(self, step: int, path: Path) -> None:
        """A video of the state after ``step`` steps was saved."""
        ...

    def note(self, kind: str, text: str) -> None:
        """Something a user should know; ``kind`` is one word, ``text`` a sentence."""
        ...

    def ended(self, state: str, text: str) -> None:
        """The run is over; ``state`` is one word, ``text`` a sentence."""
        ...


class Monitors:
    """Several monitors as one. One that fails is logged and left out; it must not cost the run.

    A command of the user (``Cancelled``, and the host's own, which is no ``Exception``) passes through.
    """

    def __init__(self, monitors: Iterable[Monitor]) -> None:
        self.monitors = list(monitors)

    def started(self, run: RunInfo, config: TrainConfig, step: int) -> None:
        self._tell("started", run, config, step)

    def step(self, step: int, record: StepRecord) -> None:
        self._tell("step", step, record)

    def validated(self, step: int, losses: dict[str, float]) -> None:
        self._tell("validated", step, losses)

    def sampled(self, step: int, path: Path) -> None:
        self._tell("sampled", step, path)

    def note(self, kind: str, text: str) -> None:
        self._tell("note", kind, text)

    def ended(self, state: str, text: str) -> None:
        self._tell("ended", state, text)

    def _tell(self, what: str, *values: Any) -> None:
        from ..core.loop import Cancelled  # the loop imports this module

        for monitor in list(self.monitors):
            try:
                getattr(monitor, what)(*values)
            except Cancelled:
                raise
            except Exception:
                self.monitors.remove(monitor)
                log.warning("%s failed and is left out of this run", type(monitor).__name__, exc_info=True)
