"""How long scripts wait for what they have started or asked: tests raise it, as they hold on a machine that is busy."""

from __future__ import annotations

import os

VARIABLE = "FEWSHOT_PATIENCE"  # environment variable: seconds that are waited at least
HUNG = 1800.0  # seconds after which something counts as hung in tests


def patience(seconds: float) -> float:
    """Seconds to wait for what takes a person's machine so many at most."""
    return max(seconds, float(os.environ.get(VARIABLE) or 0.0))
