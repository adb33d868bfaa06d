"""Why a run has ended, as the process says it that ended it; it lies in the store that torch has joined all by."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch import distributed as dist

log = logging.getLogger(__name__)

WORDS, LEFT, HEARD = (f"fewshot_video/{name}" for name in ("last_words", "left", "heard"))  # keys of the store
LONGEST = 2000  # characters
LOOK = 0.05  # seconds between two looks whether all have heard


def connect(patience: float) -> Any:
    """A connection to the store of one's own: that of torch may be waiting for something."""
    place = os.environ.get("MASTER_ADDR", "localhost"), int(os.environ["MASTER_PORT"])
    store: Any = dist  # its stubs leave the class out
    return store.TCPStore(*place, is_master=False, timeout=timedelta(seconds=patience), wait_for_workers=False)


class LastWords:
    """What a process says to the others at its end, and what it has heard of theirs.

    Who fails within a step takes part in an exchange, and there is time to ask. Who fails where the others do not wait
    for it, or wait for something else, has *left*: they look for that now and then, and it stays until they have, as
    the store may be its own.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.others = rank, [other for other in range(count) if other != rank]
        self.leaving = False

    def say(self, error: BaseException, patience: float) -> None:
        """Say why the run ends, unless a process has said so before."""
        _in_time(lambda: self._say(connect(patience), error), patience)

    def leave(self, error: BaseException, patience: float) -> None:
        """The same, and wait until all others have heard it, so many seconds at most."""
        self.leaving = True
        _in_time(lambda: self._leave(connect(patience), error), patience)

    def ask(self, patience: float) -> str:
        """What was said, where a process is known to have failed; empty: nothing."""
        found: list[str] = []

        def ask() -> None:
            store = connect(patience)
            found.append(_read(store))
            self.acknowledge(store)

        _in_time(ask, patience)
        return "".join(found)

    def look(self, store: Any) -> str:
        """What a process said that has left; empty: none has."""
        return _read(store) if store.add(LEFT, 0) else ""

    def acknowledge(self, store: Any) -> None:
        """Let who has left know that this process has heard it."""
        store.add(f"{HEARD}/{self.rank}", 1)

    def _say(self, store: Any, error: BaseException) -> None:
        text = str(error).strip()[:LONGEST] or type(error).__name__
        store.compare_set(WORDS, "", f"process {self.rank} has ended the run: {text}")

    def _leave(self, store: Any, error: BaseException) -> None:
        self._say(store, error)
        store.add(LEFT, 1)
        while not all(store.add(f"{HEARD}/{other}", 0) for other in self.others):
            time.sleep(LOOK)


def _read(store: Any) -> str:
    return store.get(WORDS).decode() if store.check([WORDS]) else ""


def _in_time(task: Callable[[], None], patience: float) -> None:
    """Do something with a store that may be unplugged, where it never answers."""

    def done() -> None:
        try:
            task()
        except RuntimeError:  # of torch: nobody listens there
            log.debug("the store does not answer", exc_info=True)

    thread = threading.Thread(target=done, daemon=True, name="last words")
    thread.start()
    thread.join(patience)
