"""Kill a training process with SIGKILL at random points, within saves too, and compare what comes of it, byte by byte.

    COMFYUI_PATH=... python scripts/bench/kill_and_resume.py [--kills 20] [--steps 40] [--seed 0]

Half of the deaths come from outside at a random time, the others from within at a random call of the system while a
state is saved. The run carries everything: two buckets, accumulation, a running average, a schedule with warm-up,
dropped captions, validation, and a state saved at every step. Not for Windows, which has no SIGKILL.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support" / "training"))

from killed_training import kill_later, run_through, tensors

CALLS_A_STEP = 3  # of fsync and of replace, about
LONGEST = 1.5  # seconds that a process may live after its first step


def main() -> None:
    """Print each death, then whether the bytes are the same.

    Raises:
        SystemExit: they are not, or a process failed by itself.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="fewshot-kill-") as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        for place in (whole, cut):
            place.mkdir()
        code, printed = run_through(whole, options.steps)
        if code:
            raise SystemExit(f"the run that nobody killed failed:\n{printed}")
        killed = 0
        while killed < options.kills:
            code, what = die_once(cut, options.steps, chance)
            if code == 0:  # it was over before it could die: begin again under the same name
                check(cut, whole, killed)
                (cut / "output").rename(cut / f"finished {killed}")
                continue
            killed += 1
            print(f"{killed:2}: killed {what}", flush=True)
        code, printed = run_through(cut, options.steps)
        if code:
            raise SystemExit(f"the run could not go on after {killed} kills:\n{printed}")
        check(cut, whole, killed)
        print(f"same bytes in {len(tensors(whole))} tensors after {killed} kills")


def die_once(folder: Path, steps: int, chance: random.Random) -> tuple[int, str]:
    """Kill one process; its exit code and how it died."""
    if chance.random() < 0.5:
        seconds = chance.uniform(0.0, LONGEST)
        code, printed = kill_later(folder, seconds, steps)
        what = f"{seconds:.2f} s after its first step"
    else:
        die = f"{chance.choice(('fsync', 'replace'))}:{chance.randint(1, 4 * CALLS_A_STEP)}"
        code, printed = run_through(folder, steps, die)
        what = f"at {die.replace(':', ' call ')}"
    if code not in (0, -9):
        raise SystemExit(f"the process failed by itself, {what}:\n{printed}")
    done = [line for line in printed.splitlines() if line.startswith("step")]
    return code, f"{what}, {done[-1] if done else 'before a step'}"


def check(folder: Path, whole: Path, kills: int) -> None:
    """Stop if the finished LoRA has other bytes."""
    if tensors(folder) != tensors(whole):
        raise SystemExit(f"other bytes after {kills} kills")


if __name__ == "__main__":
    main()
