"""AICL's claim on the toy world: does another object move as the reference does, when the caption says nothing of it?

    COMFYUI_PATH=... python scripts/bench/aicl.py [--adapter FILE] [--seeds 0 1 2] [--out out/aicl]

The shipped adapter, motions it was never trained on and motions it was, subjects it never met. Every motion is asked of
the same subjects with its own references (right), one or three, with one of another motion (wrong), and with none. The
paths are compared with the motion asked for and, with a wrong reference, with that one's. A finished row of a seed is
kept in ``--out``, so the whole can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.goals import Goal, Worse, against
from parts.seed_records import is_kept, keep, publish
from parts.seed_tables import seed_table

FIELDS = ("as_asked", "as_given", "found", "colour", "shape", "background", "appearance_leak")
IDENTITY = ("subjects", "strength", "cfg", "sampling_steps", "adapter_digest")


@dataclass(frozen=True)
class Arm:
    """What the references are."""

    name: str
    references: int
    wrong: bool = False


ARMS = (
    Arm("right, one", 1),
    Arm("right, three", 3),
    Arm("wrong, one", 1, wrong=True),
    Arm("none", 0),
)
GROUPS = ("held out", "shown")  # of motions
GOALS = (
    Goal("right, one", "as_asked", 0.90),
    Goal("right, one", "shape", 0.90),
    Worse("right, one", "as_asked", "right, three"),
)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--adapter", type=Path, help="a file (default: the one that comes with the pack)")
    add("--arms", nargs="*", default=[arm.name for arm in ARMS], choices=[arm.name for arm in ARMS])
    add("--groups", nargs="*", default=list(GROUPS), choices=GROUPS)
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of subjects, references and sampling noise")
    add("--subjects", type=int, default=2, help="of each motion")
    add("--strength", type=float, default=1.0)
    add("--cfg", type=float, default=2.0)
    add("--sampling-steps", type=int, default=24)
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("out") / "aicl")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.aicl_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(options)
    for seed in options.seeds:
        for arm in (arm for arm in ARMS if arm.name in options.arms):
            for group in options.groups:
                run_arm(stage, arm, group, seed)
    text = table(options.out, options.seeds)
    publish(text, options.out / "table.md")


def run_arm(stage: Any, arm: Arm, group: str, seed: int) -> None:
    """Sample one arm on a group of motions with one seed, unless its figures are there."""
    path = stage.options.out / f"{group}, {arm.name} {seed}.json"
    identity = {name: getattr(stage.options, name) for name in IDENTITY}
    if is_kept(path, identity):
        return
    started = time.monotonic()
    figures = stage.run(arm, group, seed, path.with_suffix(".png"))
    keep(path, {"settings": identity, "seed": seed, "figures": figures})
    print(f"{time.monotonic() - started:6.0f} s  seed {seed}  {path.stem}", file=sys.stderr, flush=True)


def table(folder: Path, seeds: list[int]) -> str:
    """A Markdown table for each group of motions: mean and standard deviation over the seeds."""
    parts = []
    for group in GROUPS:
        rows: dict[str, list[dict[str, float]]] = {}
        for arm in ARMS:
            for path in (folder / f"{group}, {arm.name} {seed}.json" for seed in seeds):
                if path.exists():
                    found = json.loads(path.read_text(encoding="utf-8"))["figures"]
                    rows.setdefault(arm.name, []).append(found)
        if rows:
            parts.append(f"Motions {group}:\n\n{seed_table(rows, FIELDS)}{against(rows, GOALS)}")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
