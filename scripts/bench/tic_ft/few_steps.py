"""Does TIC-FT lose anything where buffers are carried across their level within a step? Judged at 4, 8 and 24 steps.

    COMFYUI_PATH=... python scripts/bench/tic_ft/few_steps.py
    COMFYUI_PATH=... python scripts/bench/tic_ft/few_steps.py --arms "zero-shot, buffers" --seeds 0

Every arm is sampled in both modes of `buffer_steps` of TIC-FT Context from the same noise. A finished arm of a seed is
kept in ``--out`` and not run again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when loaded by path

from parts.ablation_arms import Arm
from parts.arms import Record, add_adapter_options, add_condition_options, arm_parser, read_rows, run_arms
from parts.seed_records import publish
from parts.seed_tables import seed_table

ARMS = (Arm("zero-shot, buffers", steps=()), Arm("few-shot, buffers", steps=(100,)))
STEPS = (4, 8, 24)
MODES = {"no extra steps": False, "exact": True}
FIGURES = ("colour", "shape", "motion", "all_right", "path_error", "condition_fidelity", "frame_consistency",
           "flow_agreement", "seconds")  # fmt: skip
IDENTITY = ("split", "conditions", "pairs", "rank", "learning_rate", "batch", "shift", "caption_dropout", "cfg",
            "objects")  # fmt: skip


def main() -> None:
    parser = arm_parser(__doc__, ARMS, "pairs, training and sampling noise", "few_steps")
    parser.add_argument("--pairs", type=int, default=12)
    add_adapter_options(parser, batch=8, cfg=1.0)
    add_condition_options(parser, of="arm, mode and seed")
    options = parser.parse_args()
    run_arms(options, ARMS, "ablation_runs", run_arm)
    publish(seed_table(read_rows(options.out, ARMS, f"{options.split} "), FIGURES), options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train one arm with one seed and sample it in both modes, unless its figures are there."""
    from parts.ablation_runs import train

    options = stage.options
    record = Record(
        options.out / f"{options.split} {arm.name} {seed}.json", options, IDENTITY, base=stage.base, steps=list(STEPS)
    )
    if record.finished:
        return
    lora = train(stage, arm, seed)[arm.steps[-1]] if arm.steps else None
    record.tell(f"seed {seed}  {arm.name}, ready to sample")
    rows = {}
    for steps in STEPS:
        for mode in MODES:
            name = f"{arm.name}, {steps} steps, {mode}"
            rows[name] = sample_mode(stage, arm, lora, seed, steps, mode)
            record.tell(f"seed {seed}  {name}")
    record.keep(seed=seed, rows=rows)


def sample_mode(
    stage: Any, arm: Arm, lora: dict[str, Any] | None, seed: int, steps: int, mode: str
) -> dict[str, float]:
    """Figures of one mode at one number of steps, with the time that sampling and decoding took."""
    from time import perf_counter

    from parts.ablation_runs import figures, sample, write_sheet

    options: argparse.Namespace = stage.options
    options.sampling_steps, options.extra_steps = steps, MODES[mode]
    started = perf_counter()
    videos = sample(stage, arm, lora, seed)
    seconds = perf_counter() - started
    write_sheet(stage, videos, options.out / f"{arm.name} {steps} {mode} {seed}.png")
    return {**figures(stage, videos), "seconds": seconds}


if __name__ == "__main__":
    main()
