"""A page of a running ComfyUI that only listens."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from host_setup.events import TEXT, connect, read_frame
from patience import PATIENCE

BINARY = 2  # opcode of RFC 6455


class Tab(threading.Thread):
    """Collects the messages of one type, and all binary ones.

    Args:
        server: The running host.
        client_id: A tab of its own, or ``fewshot`` for the one that queues.
        kind: The type of message.
    """

    def __init__(self, server: Any, client_id: str, kind: str) -> None:
        super().__init__(daemon=True)
        self.server, self.kind = server, kind
        self.changed = threading.Condition()
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.sizes: list[int] = []
        self.pictures: list[bytes] = []
        self.link = connect("127.0.0.1", server.port, client_id)
        self.start()

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_error: object) -> None:
        self.link.close()

    def run(self) -> None:
        """Read until the connection ends."""
        with contextlib.suppress(OSError, EOFError, ValueError), self.link.makefile("rb") as stream:
            while True:
                self.hear(*read_frame(stream))

    def hear(self, opcode: int, payload: bytes) -> None:
        """Keep a message."""
        message = json.loads(payload) if opcode == TEXT else {}
        with self.changed:
            if opcode == BINARY:
                self.pictures.append(payload)
            if message.get("type") == self.kind:
                self.events.append(message["data"])
                self.times.append(time.monotonic())
                self.sizes.append(len(payload))
            self.changed.notify_all()

    def wait_for(self, test: Callable[[dict[str, Any]], bool], timeout: float = PATIENCE) -> dict[str, Any]:
        """The first message that passes a test.

        Raises:
            AssertionError: none came in time.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            while time.monotonic() < deadline:
                for event in self.events:
                    if test(event):
                        return event
                self.changed.wait(1)
                self.server.check_alive()
        raise AssertionError(f"no such event in {self.events[-3:]}\n{self.server.log_tail()}")
