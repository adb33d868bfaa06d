"""How many random calls a node gets."""

from __future__ import annotations

import host_in_process
import pytest

if host_in_process.is_set():
    host_in_process.start()


@pytest.fixture
def fuzz_examples(request: pytest.FixtureRequest) -> int:
    """``--fuzz-examples``: 40, in CI 300 in the newest ComfyUI, 5000 by hand."""
    return request.config.getoption("--fuzz-examples")
