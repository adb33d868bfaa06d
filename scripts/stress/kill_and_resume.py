"""Kill a training process of each trainer with SIGKILL at random points and compare what comes of it, byte by byte.

    COMFYUI_PATH=... python scripts/stress/kill_and_resume.py [--trainers tic_ft aicl motion tune_a_video] [--kills 20]
                                                            [--steps 40] [--seed 0]

A point is an event of the program and no time: a step that is done, seen from outside or from within, or the n-th call
of a function of the system, most of them within a save. The seed decides which. Every state is saved, at every step.
Not for Windows, which has no SIGKILL.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support" / "training"))

from killed_training import TRAINERS, kill_after, run_through, tensors

CALLS = {"fsync": 24, "replace": 12, "link": 1, "mkdir": 3, "step": 4}  # most that a death waits for, of each function


def main() -> None:
    """Print each death, then whether the bytes are the same.

    Raises:
        SystemExit: they are not, or a process failed by itself.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    killed = sum(kill_one(trainer, options) for trainer in options.trainers)
    print(f"{killed} of {killed} kills of {len(options.trainers)} trainers, all to the same bytes")


def kill_one(trainer: str, options: argparse.Namespace) -> int:
    """Kill the runs of one trainer; how often it died."""
    chance = random.Random(f"{options.seed} {trainer}")
    with tempfile.TemporaryDirectory(prefix="fewshot-kill-") as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        for place in (whole, cut):
            place.mkdir()
        finish(whole, options.steps, trainer)
        killed = lives = 0
        while killed < options.kills:
            code, what = die_once(cut, options.steps, chance, trainer)
            if code == 0:  # it was over before it could die: begin again under the same name
                check(cut, whole, trainer)
                lives += 1
                (cut / "output").rename(cut / f"finished {lives}")
                continue
            killed += 1
            print(f"{trainer} {killed:2}: killed {what}", flush=True)
        finish(cut, options.steps, trainer)
        check(cut, whole, trainer)
        print(f"{trainer}: same bytes in {len(tensors(whole))} tensors after {killed} kills", flush=True)
    return killed


def finish(folder: Path, steps: int, trainer: str) -> None:
    """Let a process come to its end."""
    code, printed = run_through(folder, steps, trainer=trainer)
    if code:
        raise SystemExit(f"{trainer} failed by itself:\n{printed}")


def die_once(folder: Path, steps: int, chance: random.Random, trainer: str) -> tuple[int, str]:
    """Kill one process; its exit code and how it died."""
    if chance.random() < 0.25:
        step = chance.randint(1, steps)
        code, printed = kill_after(folder, step, steps, trainer=trainer)
        what = f"from outside at step {step} or later"
    else:
        point = chance.choice(list(CALLS))
        die = f"{point}:{chance.randint(1, CALLS[point])}"
        code, printed = run_through(folder, steps, die, trainer=trainer)
        what = f"at {die.replace(':', ' ')}"
    if code not in (0, -9):
        raise SystemExit(f"{trainer} failed by itself, {what}:\n{printed}")
    done = [line for line in printed.splitlines() if line.startswith("step")]
    return code, f"{what}, {done[-1] if done else 'before a step'}"


def check(folder: Path, whole: Path, trainer: str) -> None:
    """Stop if the finished files have other bytes."""
    if tensors(folder) != tensors(whole):
        raise SystemExit(f"{trainer}: other bytes")


if __name__ == "__main__":
    main()
