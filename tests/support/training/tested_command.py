"""``train.py`` as tests start it: it waits for other processes as long as they do, and stands still or fails on demand.

What is asked of it stands in the environment. ``HOLD``, ``RANK:STEP``, has process RANK stand still once so many steps
are done, until the file ``HELD``, which it makes then, is gone. With ``SHORT`` the memory of process 1 runs out once,
in the step after the third.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT, SUPPORT = Path(__file__).resolve().parents[3], Path(__file__).resolve().parents[1]
HOLD, HELD, SHORT = "FEWSHOT_TEST_HOLD", "FEWSHOT_TEST_HELD", "FEWSHOT_TEST_SHORT"  # environment variables


def stand_still() -> None:
    """Say so, and wait to be let go, or for a signal to end it."""
    held = Path(os.environ[HELD])
    held.touch()
    while held.exists():
        time.sleep(0.01)


def run_short() -> None:
    """The memory is full."""
    raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate too much, out of memory")


def events() -> dict[int, Callable[[], None]]:
    """What is to happen in this process, once, by the steps that are done then."""
    rank, _, step = os.environ.get(HOLD, "").partition(":")
    found = {int(step): stand_still} if rank == os.environ["RANK"] else {}
    return found | ({3: run_short} if SHORT in os.environ and os.environ["RANK"] == "1" else {})


def main() -> int:
    """Train; returns the exit code."""
    sys.path.insert(0, str(ROOT))  # which the pack takes out again
    sys.path.append(str(SUPPORT))
    from no_clock import stop_clocks, wait_for_peers

    import train

    train.load_pack()
    train.load_pack = lambda: None  # once is enough
    stop_clocks(train.PACK)
    wait_for_peers(train.PACK)
    step = importlib.import_module(f"{train.PACK}.training.core.step")
    add, left = step._add_part, events()

    def add_part(*given: Any) -> None:
        left.pop(given[4], lambda: None)()  # the position of a batch, from 0
        add(*given)

    step._add_part = add_part
    return train.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
