"""How long the scripts wait: tests much longer than people, so that a busy machine changes no outcome."""

from __future__ import annotations

import io

import pytest
from host_setup import client, events
from host_setup.client import Client
from host_setup.patience import VARIABLE, patience
from patience import PATIENCE


def test_tests_wait_longer_than_people_for_an_answer(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(client.OPENER, "open", lambda _asked, timeout: waits.append(timeout) or io.BytesIO(b"{}"))
    for value in (None, "", "5"):
        Client("http://127.0.0.1:1").get("/")
        monkeypatch.delenv(VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(VARIABLE, value)
    Client("http://127.0.0.1:1").get("/", timeout=2.0)
    assert waits == [PATIENCE, 60.0, 60.0, 2.0]
    assert patience(10.0) == 10.0  # at least


def test_tests_wait_longer_than_people_for_a_connection(monkeypatch):
    def refused(_place: object, timeout: float) -> None:
        raise OSError(f"not within {timeout:.0f} s")

    monkeypatch.setattr(events.socket, "create_connection", refused)
    with pytest.raises(OSError, match=f"not within {PATIENCE:.0f} s"):
        events.connect("127.0.0.1", 1, "tab")
