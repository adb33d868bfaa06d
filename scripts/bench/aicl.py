"""AICL's claim on the toy world: does another object move as the reference does, when the caption says nothing of it?

    COMFYUI_PATH=... python scripts/bench/aicl.py [--detail fine] [--adapter FILE] [--seeds 0 1 2] [--out out/aicl]

The shipped adapter, motions it was never trained on and motions it was, subjects it never met. Every motion is asked of
the same subjects with its own references (right), one or three, with one of another motion (wrong), and with none. The
paths are compared with the motion asked for and, with a wrong reference, with that one's. A finished row of a seed is
kept in ``--out``, so the whole can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts.arms import Record, arm_parser, read_figures, run_arms
from parts.goals import Goal, Worse, against
from parts.seed_records import publish
from parts.seed_tables import seed_table

FIELDS = ("as_asked", "as_given", "found", "colour", "shape", "background", "appearance_leak")
IDENTITY = ("detail", "subjects", "strength", "cfg", "sampling_steps", "adapter_digest")


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
    parser = arm_parser(__doc__, ARMS, "subjects, references and sampling noise", "aicl")
    add = parser.add_argument
    add("--detail", choices=("coarse", "fine"), default="coarse", help="of the toy base; decides the objects' size")
    add("--adapter", type=Path, help="a file (default: the one that comes with the pack)")
    add("--groups", nargs="*", default=list(GROUPS), choices=GROUPS)
    add("--subjects", type=int, default=2, help="of each motion")
    add("--strength", type=float, default=1.0)
    add("--cfg", type=float, default=2.0)
    add("--sampling-steps", type=int, default=24)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    run_arms(options, ARMS, "aicl_runs", run_arm)
    text = table(options.out, options.seeds)
    publish(text, options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Sample one arm on every group of motions with one seed, unless its figures are there."""
    for group in stage.options.groups:
        record = Record(stage.options.out / f"{group}, {arm.name} {seed}.json", stage.options, IDENTITY)
        if not record.finished:
            record.keep(seed=seed, figures=stage.run(arm, group, seed, record.path.with_suffix(".png")))
            record.tell(f"seed {seed}  {record.path.stem}")


def table(folder: Path, seeds: list[int]) -> str:
    """A Markdown table for each group of motions: mean and standard deviation over the seeds."""
    parts = []
    for group in GROUPS:
        rows = read_figures(folder, ARMS, seeds, f"{group}, ")
        if rows:
            parts.append(f"Motions {group}:\n\n{seed_table(rows, FIELDS)}{against(rows, GOALS)}")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
