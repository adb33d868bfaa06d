"""What the pack does by the clock, stopped: what a run does is a matter of its steps alone, however long these take."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from patience import PATIENCE

NEVER = 1e9  # seconds
CLOCKS = {"runs.run": ("FIRST_SAVE", "LEAST_PAUSE"), "runs.log": ("FLUSH",), "runs.loss_plot": ("EVERY",)}


def stop_clocks(package: str = "pack", put: Callable[[Any, str, float], None] = setattr) -> None:
    """Have a run save, write and draw at its steps and at its end, and never since so many seconds have passed.

    Args:
        package: Name that the pack was imported under.
        put: Sets an attribute of a module.
    """
    for name, constants in CLOCKS.items():
        module = importlib.import_module(f"{package}.training.{name}")
        for constant in constants:
            put(module, constant, NEVER)


def wait_for_peers(package: str = "pack") -> None:
    """Let a process that others wait for be as slow as a busy machine makes it; who closes its connections is lost."""
    importlib.import_module(f"{package}.training.distributed.heartbeat").PATIENCE = PATIENCE
