"""Fixtures of the tests that run inside a real ComfyUI; `tests/conftest.py` starts it or skips them."""

from __future__ import annotations

from pathlib import Path

import host_in_process
import pytest

if host_in_process.is_set():
    host_in_process.start()


@pytest.fixture(scope="session")
def host_base() -> Path:
    """Temporary folder that holds the host's models, input, output and temp folders."""
    return host_in_process.start()
