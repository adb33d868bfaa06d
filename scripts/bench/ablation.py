"""TIC-FT's claims as figures: arms, seeds and held-out conditions on the toy model, judged without nets.

    COMFYUI_PATH=... python scripts/bench/ablation.py --split validation --arms "few-shot, buffers" --seeds 0
    COMFYUI_PATH=... python scripts/bench/ablation.py --split test
    COMFYUI_PATH=... python scripts/bench/ablation.py --split validation --seeds 0 --arms "few-shot, high levels"

A finished arm of a seed is kept in ``--out`` and not run again, so the whole can be stopped at any moment. Settings
are chosen on the validation split; the test split holds other combinations of shape, colour and motion.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts.ablation_arms import ARMS, CHECKS, Arm, row_name
from parts.arms import Record, add_adapter_options, add_condition_options, arm_parser, read_rows, run_arms
from parts.seed_records import publish
from parts.seed_tables import seed_table

SHARES = ("colour", "shape", "background", "motion", "all_right", "every_frame")
SCORES = ("path_error", "condition_fidelity", "frame_consistency", "dynamic_degree", "flow_agreement", "ssim")
IDENTITY = ("split", "conditions", "pairs", "rank", "learning_rate", "batch", "shift", "caption_dropout", "cfg",
            "sampling_steps", "objects")  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    """Command line; the defaults are the settings of the table in docs/results.md."""
    parser = arm_parser(__doc__, ARMS, "pairs, training and sampling noise", "ablation", more=CHECKS)
    parser.add_argument("--pairs", type=int, default=30)
    add_adapter_options(parser, batch=8, cfg=1.0)
    add_condition_options(parser, of="arm and seed")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    run_arms(options, (*ARMS, *CHECKS), "ablation_runs", run_arm)
    text = table(read_rows(options.out, (*ARMS, *CHECKS), f"{options.split} "))
    publish(text, options.out / f"table_{options.split}.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm with one seed, unless its figures are there."""
    from parts.ablation_runs import figures, sample, train, write_sheet

    folder, split = stage.options.out, stage.options.split
    record = Record(folder / f"{split} {arm.name} {seed}.json", stage.options, IDENTITY, base=stage.base)
    if record.finished:
        return
    loras = train(stage, arm, seed) if arm.steps else {0: None}
    trained = record.seconds
    rows = {}
    for steps, lora in loras.items():
        videos = sample(stage, arm, lora, seed)
        write_sheet(stage, videos, folder / f"{split} {arm.name} {steps} {seed}.png")
        rows[row_name(arm, steps)] = figures(stage, videos)
        record.tell(f"seed {seed}  {row_name(arm, steps)}")
    record.keep(seed=seed, rows=rows, training_seconds=trained)


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Two Markdown tables, mean and standard deviation over the seeds."""
    return "\n".join(seed_table(rows, names) for names in (SHARES, SCORES))


if __name__ == "__main__":
    main()
