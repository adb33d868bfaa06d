"""``train.py`` as tests start it: it waits for other processes as long as they do, and stands still or fails on demand.

What is asked of it stands in the environment. ``HOLD``, ``RANK:STEP``, has process RANK stand still once so many steps
are done, until the file ``HELD``, which it makes then, is gone. With ``SHORT``, ``RANK:PLACE``, the memory of process
RANK runs out once, at a PLACE of ``PLACES``; with ``FAIL``, ``RANK:PLACE:SENTENCE``, it fails there.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT, SUPPORT = Path(__file__).resolve().parents[3], Path(__file__).resolve().parents[1]
# environment variables
HOLD, HELD, SHORT, FAIL = (f"FEWSHOT_TEST_{name}" for name in ("HOLD", "HELD", "SHORT", "FAIL"))
FULL = "DefaultCPUAllocator: not enough memory: you tried to allocate too much, out of memory"


def stand_still() -> None:
    """Say so, and wait to be let go, or for a signal to end it."""
    held = Path(os.environ[HELD])
    held.touch()
    while held.exists():
        time.sleep(0.01)


# Where a process can fail: what is called there, by its module, and at which of its calls in the process.
PLACES = {
    "part": ("training.core.step", "_add_part", 2),  # once a step
    "exchange": ("training.distributed.exchange", "_brought", 2),
    "clipping": ("torch.nn.utils", "clip_grad_norm_", 2),
    "update": ("torch.optim", "AdamW._init_group", 2),  # the weights fit no step then
    "opening": ("nodes.host.session.session", "load_for_training", 1),
    "validation": ("training.core.clip_objective", "ClipObjective.fixed_batch", 1),
    "best file": ("nodes.host.runs.saving", "Saver.keep_best", 1),
    "record": ("training.runs.folder", "RunFolder.begin", 1),
    "reading": ("training.core.clip_objective", "ClipObjective.batch", 2),
    "cache": ("nodes.host.launch.command", "recalled_set", 1),
}


def fail_at(asked: str, package: str) -> None:
    """Have the process fail there, once, with a sentence; with none, memory runs out."""
    place, _, sentence = asked.partition(":")
    where, name, call = PLACES[place]
    holder: Any = importlib.import_module(where if where.startswith("torch") else f"{package}.{where}")
    *parts, last = name.split(".")
    for part in parts:
        holder = getattr(holder, part)
    whole, calls = getattr(holder, last), itertools.count(1)

    def called(*given: Any, **named: Any) -> Any:
        if next(calls) == call:
            raise RuntimeError(sentence or FULL)
        return whole(*given, **named)

    setattr(holder, last, called)


def hold_at(place: str, package: str) -> None:
    """Stand still once so many steps are done."""
    step = importlib.import_module(f"{package}.training.core.step")
    add, left = step._add_part, {int(place): stand_still}

    def add_part(*given: Any) -> None:
        left.pop(given[4], lambda: None)()  # the position of a batch, from 0
        add(*given)

    step._add_part = add_part


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
    for variable, have in ((HOLD, hold_at), (SHORT, fail_at), (FAIL, fail_at)):
        rank, _, place = os.environ.get(variable, "").partition(":")
        if rank == os.environ["RANK"]:
            have(place, train.PACK)
    return train.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
