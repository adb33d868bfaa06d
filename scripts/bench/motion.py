"""One-shot motion as figures: one clip of a motion the toy model was never shown, then other subjects with it.

    COMFYUI_PATH=... python scripts/bench/motion.py --arms base "two stages" --seeds 0
    COMFYUI_PATH=... python scripts/bench/motion.py

Every arm is trained on the same clip and asked for the motion with other shapes, colours and backgrounds, and for
motions that the base knew. A finished arm of a seed is kept in ``--out`` and not run again, so the whole can be stopped
at any moment.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts.arms import Record, add_adapter_options, arm_parser, read_rows, run_arms
from parts.goals import Goal, Worse, against
from parts.one_shot_arms import ARMS, Arm, row_name
from parts.seed_records import publish
from parts.seed_tables import seed_table

NEW = ("path_correlation", "trajectory_agreement", "appearance_leak", "found", "colour", "shape", "background")
KNOWN = ("known_path_correlation", "known_motion", "known_colour", "known_shape", "frame_consistency", "dynamic_degree")
IDENTITY = ("motion", "subjects", "rank", "learning_rate", "steps", "appearance_steps", "batch", "shift", "cfg",
            "sampling_steps")  # fmt: skip

GOALS = (
    Goal("two stages", "path_correlation", 0.85),
    Goal("two stages, first 60 %", "path_correlation", 0.85),
    Goal("two stages", "known_path_correlation", 0.80),
    Goal("two stages, first 60 %", "known_path_correlation", 0.80),
    Worse("plain LoRA", "appearance_leak", "two stages", higher=True),
)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = arm_parser(__doc__, ARMS, "training and sampling noise", "motion")
    add = parser.add_argument
    add("--motion", default="loops in a figure eight", help="one of the toy world's held-out motions")
    add("--subjects", type=int, default=8, help="other subjects with the motion, and as many known motions")
    add("--steps", type=int, default=400)
    add("--appearance-steps", type=int, default=200)
    add_adapter_options(parser, batch=4, cfg=2.0)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    run_arms(options, ARMS, "one_shot_runs", run_arm)
    publish(table(read_rows(options.out, ARMS)), options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm with one seed, unless its figures are there."""
    from parts.one_shot_runs import figures, sample, train, write_sheet

    record = Record(stage.options.out / f"{arm.name} {seed}.json", stage.options, IDENTITY)
    if record.finished:
        return
    lora = train(stage, arm, seed)
    trained = record.seconds
    rows = {}
    for end in arm.ends:
        name = row_name(arm, end)
        new, known = (sample(stage, lora, end, scenes, seed) for scenes in (stage.new, stage.known))
        write_sheet(stage, new, known, stage.options.out / f"{name} {seed}.png")
        rows[name] = figures(stage, new, known)
        record.tell(f"seed {seed}  {name}")
    record.keep(seed=seed, rows=rows, training_seconds=trained)


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Two Markdown tables, of the new motion and of the known ones: mean and standard deviation over the seeds."""
    return "\n".join(seed_table(rows, names) for names in (NEW, KNOWN)) + against(rows, GOALS)


if __name__ == "__main__":
    main()
