"""What the system says that a process takes for a step, beside what is counted of its tensors; on Linux alone."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Memory that is freed goes back to the system at once, so that what is taken is what lives.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}


def asked(script: str, options: list[str]) -> int | None:
    """Bytes that a process of its own prints for these options; None where the system does not tell."""
    if not FORGET.exists():
        return None
    done = subprocess.run(
        [sys.executable, script, *options],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    return int(json.loads(done.stdout.splitlines()[-1]))


def taken(work: Callable[[], Any], warm: Callable[[], Any]) -> int:
    """Bytes by which the process grows at most while it works; ``warm`` first loads what is loaded once."""
    warm()
    gc.collect()
    before = _bytes("VmRSS")
    FORGET.write_text("5", encoding="ascii")  # the most so far is forgotten
    work()
    return _bytes("VmHWM") - before


def _bytes(name: str) -> int:
    status = dict(line.split(":", 1) for line in STATUS.read_text("ascii").splitlines())
    return int(status[name].split()[0]) * 1024
