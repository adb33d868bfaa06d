"""The three ablations of Tune-A-Video on the toy image model, judged without nets.

    COMFYUI_PATH=... python scripts/bench/tune_a_video.py [--seeds 0 1 2] [--out out/tune_a_video]

For each seed one clip is tuned on, with its caption (which says nothing of the motion), and sampled with eight other
captions: three other shapes, two colours, two backgrounds, one look. A finished arm of a seed is kept in ``--out``, so
the whole can be stopped at any moment. Settings were chosen on seeds from 100 on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts.arms import Record, arm_parser, read_figures, run_arms
from parts.goals import Worse, against
from parts.seed_records import publish
from parts.seed_tables import seed_table
from parts.sheets import strip, write_rows

FIELDS = ("path_correlation", "right_frames", "one_object", "look", "frame_consistency", "flicker", "dynamic_degree")
IDENTITY = ("steps", "learning_rate", "frames", "stride", "sampling_steps", "cfg")


@dataclass(frozen=True)
class Arm:
    """One row of the table."""

    name: str
    tuned: bool = True
    inverted: bool = True
    sparse_causal: bool = True


ARMS = (
    Arm("Tune-A-Video"),
    Arm("without sparse-causal attention", sparse_causal=False),
    Arm("without inversion", inverted=False),
    Arm("without tuning", tuned=False),
    Arm("frame by frame", tuned=False, sparse_causal=False),
)

GOALS = (
    Worse("without sparse-causal attention", "flicker", "Tune-A-Video", higher=True),
    Worse("without inversion", "path_correlation", "Tune-A-Video"),
    Worse("without tuning", "right_frames", "Tune-A-Video"),
)


def parse_arguments() -> argparse.Namespace:
    """Command line; the defaults are the settings of the table in docs/results.md."""
    parser = arm_parser(__doc__, ARMS, "the clip, tuning and fresh noise", "tune_a_video")
    add = parser.add_argument
    add("--steps", type=int, default=300)
    add("--learning-rate", type=float, default=3e-4)
    add("--frames", type=int, default=24)
    add("--stride", type=int, default=2)
    add("--sampling-steps", type=int, default=50)
    add("--cfg", type=float, default=4.0)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    run_arms(options, ARMS, "tune_a_video_runs", run_arm)
    rows = read_figures(options.out, ARMS, options.seeds)
    text = seed_table(rows, FIELDS, small=True) + against(rows, GOALS)
    publish(text, options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Tune and sample one arm with one seed, unless its figures are there."""
    from parts.tune_a_video_runs import figures, scene_of, videos_of

    record = Record(stage.options.out / f"{arm.name} {seed}.json", stage.options, IDENTITY)
    if record.finished:
        return
    source, videos = videos_of(stage, arm, seed)
    # The source clip, then every edit.
    write_rows([strip(video, 8) for video in (source, *videos)], record.path.with_suffix(".png"))
    record.keep(seed=seed, figures=figures(scene_of(seed), source, videos))
    record.tell(f"seed {seed}  {arm.name}")


if __name__ == "__main__":
    main()
