"""The progress of a host, heard over its websocket."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from host_setup.events import PING, PONG, TEXT, Progress, connect
from patience import PATIENCE


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    """A frame as servers send it."""
    head = bytes((opcode | (0x80 if final else 0),))
    if len(payload) < 126:
        return head + bytes((len(payload),)) + payload
    return head + bytes((126,)) + struct.pack("!H", len(payload)) + payload


def text(kind: str, **data) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode()


@contextlib.contextmanager
def serving(answer: bytes, frames: list[bytes], heard: list[bytes]) -> Iterator[str]:
    """A host that takes one websocket, sends ``frames`` and notes what the client sends after its request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                link, _ = listener.accept()
                with link:
                    heard.append(link.recv(4096))
                    link.sendall(answer + b"".join(frames))
                    heard.append(link.recv(4096))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def wait_for(progress: Progress, expected: tuple[str, int, int]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while progress.latest != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return progress.latest == expected


AGREED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_the_latest_step_is_known_also_from_split_and_long_messages():
    step = text("progress", node="12", value=7, max=250, padding="x" * 300)
    frames = [
        frame(TEXT, text("executing", node="4")),
        frame(2, b"\x00picture"),
        frame(TEXT, step[:10], final=False) + frame(0, step[10:]),
        frame(TEXT, text("executing", node=None)),
    ]
    heard: list[bytes] = []
    with serving(AGREED, frames, heard) as url, Progress(url) as progress:
        assert wait_for(progress, ("12", 7, 250))
    assert b"clientId=fewshot" in heard[0]


def test_a_ping_is_answered_with_its_own_payload_masked():
    heard: list[bytes] = []
    with serving(AGREED, [frame(PING, b"abc")], heard) as url, Progress(url):
        deadline = time.monotonic() + PATIENCE
        while len(heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    head, mask, body = heard[1][:2], heard[1][2:6], heard[1][6:]
    assert head == bytes((0x80 | PONG, 0x80 | 3))
    assert bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)) == b"abc"


def test_without_a_websocket_there_is_no_progress_and_no_error():
    with serving(b"HTTP/1.1 403 Forbidden\r\n\r\n", [], []) as url, Progress(url) as progress:
        assert progress.latest is None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=r".+"):
        connect("127.0.0.1", port, "fewshot")
