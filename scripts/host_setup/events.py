"""Listen to a running ComfyUI's websocket for the step it is at; the standard library is enough for that."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import threading
import urllib.parse
from types import TracebackType
from typing import Any

from host_setup.patience import patience

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10  # opcodes of RFC 6455


class Progress(threading.Thread):
    """The node a host is at and how far it is; use it in a ``with`` statement.

    A progress display is a courtesy: when the connection fails or ends, ``latest`` stays as it is.

    Args:
        url: Address of the host.
        client_id: That of the prompts to hear of.
    """

    def __init__(self, url: str, client_id: str = "fewshot") -> None:
        super().__init__(daemon=True)
        self.url, self.client_id = urllib.parse.urlsplit(url), client_id
        self.latest: tuple[str, int, int] | None = None  # node id, steps done, steps in all
        self.socket: socket.socket | None = None

    def __enter__(self) -> Progress:
        with contextlib.suppress(OSError):
            self.socket = connect(self.url.hostname or "", self.url.port or 80, self.client_id)
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()

    def run(self) -> None:
        """Read messages until the connection ends."""
        assert self.socket is not None
        with contextlib.suppress(OSError, EOFError, ValueError), self.socket.makefile("rb") as stream:
            while True:
                opcode, payload = read_frame(stream)
                if opcode == TEXT:
                    self.hear(json.loads(payload))
                elif opcode == PING:
                    self.socket.sendall(masked(PONG, payload))
                elif opcode == CLOSE:
                    return

    def hear(self, message: dict[str, Any]) -> None:
        """Remember what a message says of the progress."""
        data = message.get("data", {})
        if message.get("type") == "executing" and data.get("node"):
            self.latest = (str(data["node"]), 0, 0)
        elif message.get("type") == "progress" and data.get("node"):
            self.latest = (str(data["node"]), int(data["value"]), int(data["max"]))


def connect(name: str, port: int, client_id: str) -> socket.socket:
    """Open the websocket of a host.

    Raises:
        OSError: There is no host, or it does not agree to a websocket.
    """
    link = socket.create_connection((name, port), timeout=patience(10.0))
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /ws?clientId={client_id} HTTP/1.1\r\nHost: {name}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    link.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (byte := link.recv(1)):  # byte by byte: frames follow at once
        answer += byte
    if b" 101 " not in answer.split(b"\r\n", 1)[0]:
        link.close()
        raise OSError(f"the host refused a websocket: {answer[:200]!r}")
    link.settimeout(None)
    return link


def read_frame(stream: Any) -> tuple[int, bytes]:
    """Opcode and payload of the next message a server sends (its frames are not masked).

    Raises:
        EOFError: The connection has ended.
    """
    opcode, payload, final = 0, b"", False
    while not final:
        first, second = exactly(stream, 2)
        final, opcode = bool(first & 0x80), first & 0x0F or opcode
        length = second & 0x7F
        if length >= 126:
            form = "!H" if length == 126 else "!Q"
            (length,) = struct.unpack(form, exactly(stream, struct.calcsize(form)))
        payload += exactly(stream, length)
    return opcode, payload


def exactly(stream: Any, count: int) -> bytes:
    """The next ``count`` bytes."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the connection has ended")
    return data


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as clients send it, its payload (at most 125 bytes) masked."""
    mask = os.urandom(4)
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload[:125]))
    return bytes((0x80 | opcode, 0x80 | len(body))) + mask + body
