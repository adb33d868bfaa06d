"""How a process knows that the others are there: each counts up in the store that torch has joined them by."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

from .last_words import LastWords, connect
from .processes import PeerError, PeerFailedError, PeerLostError

log = logging.getLogger(__name__)

EVERY, PATIENCE = 3.0, 30.0  # seconds: between beats, and without one, or without an answer of the store
GRACE = 15.0  # seconds that a process which lost another has to end by itself
AGAIN = "the last checkpoint is whole: start the same command again, with as many processes as you like"


class Heartbeats:
    """A thread that counts up for this process and looks whether the others count.

    Torch itself notices a process that ends, whose connections the system closes, but not a machine that is unplugged:
    there no packet comes at all, and its own time limit would also end a run whose process 0 validates for long.
    """

    def __init__(self, rank: int, count: int, device_waits: bool) -> None:
        """``device_waits``: whether an exchange that never ends holds the device, so that nothing can be saved."""
        self.rank, self.count, self.device_waits = rank, count, device_waits
        self.words = LastWords(rank, count)
        self.lost = ""  # the sentence, once a process is
        self.left = ""  # what a process said that has ended the run
        self._answered = time.monotonic()  # when the store last did
        self._over = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._answered = time.monotonic()
        for task in (self._beat, *((self._end_hard,) if self.device_waits else ())):
            threading.Thread(target=task, daemon=True, name=f"heartbeats{task.__name__}").start()

    def stop(self) -> None:
        """End."""
        self._over.set()

    @property
    def over(self) -> bool:
        """Whether this process or another one has ended the run, or is lost."""
        return bool(self.words.leaving or self.left or self.lost)

    def say(self, error: BaseException) -> None:
        """Say why this process cannot do its part, to those that will ask."""
        self.words.say(error, PATIENCE)

    def said(self) -> str:
        """What the process said that could not do its part; empty where that cannot be found out."""
        return self.words.ask(PATIENCE)

    def leave(self, error: BaseException) -> None:
        """End with an error of this process, and see that the others hear of it."""
        self.words.leave(error, PATIENCE)
        self.stop()

    def check(self) -> None:
        """Raise where a process is lost, or has ended the run.

        Raises:
            PeerFailedError: a process has, and said why.
            PeerLostError: one is lost.
        """
        if self.left:
            raise PeerFailedError(self.left)
        # Asked of a thread that may hang: a store that is unplugged never answers, and has no time limit for it.
        if not self.lost and time.monotonic() - self._answered > PATIENCE:
            self.lost_sentence(f"process 0 has given no sign for {PATIENCE:.0f} s")
        if self.lost:
            raise PeerLostError(self.lost)

    def broken(self, why: str) -> PeerError:
        """The error of a process whose connection to another one is broken."""
        return PeerFailedError(self.left) if self.left else PeerLostError(self.lost_sentence(why))

    def lost_sentence(self, why: str) -> str:
        """Note that a process is lost, and say so."""
        self.lost = self.lost or f"another process of the run was lost ({why}); {AGAIN}"
        return self.lost

    def _beat(self) -> None:
        try:
            self._watch(connect(PATIENCE))
        except RuntimeError as error:  # the store is with process 0, or with its launcher
            if not self._over.is_set():
                log.debug("the store does not answer", exc_info=True)
                self.lost_sentence(f"process 0 cannot be reached: {str(error).partition(chr(10))[0][:200]}")

    def _watch(self, store: Any) -> None:
        seen: dict[int, tuple[int, float]] = {}
        others = [rank for rank in range(self.count) if rank != self.rank]
        while not self._over.wait(EVERY) and not self.lost:
            store.add(_key(self.rank), 1)
            now = time.monotonic()
            for rank in others:
                beats = store.add(_key(rank), 0)
                before, since = seen.get(rank, (-1, now))
                seen[rank] = (beats, now) if beats != before else (before, since)
                if beats and now - seen[rank][1] > PATIENCE:
                    self.lost_sentence(f"process {rank} has given no sign for {PATIENCE:.0f} s")
            found = self.words.look(store)
            if found:
                self.left = "" if self.words.leaving else found
                self.words.acknowledge(store)  # from here on the other one may close its connections
                return
            self._answered = time.monotonic()

    def _end_hard(self) -> None:
        """End a process that hangs on its device; what it would have saved is in the last checkpoint."""
        while not self._over.wait(EVERY):
            try:
                self.check()
            except PeerError as error:
                if not self._over.wait(GRACE):
                    sys.stderr.write(f"error: {error}\n")
                    sys.stderr.flush()
                    os._exit(1)


def _key(rank: int) -> str:
    return f"fewshot_video/heartbeat/{rank}"
