"""How many pairs each way to show a condition needs: TIC-FT, without buffers, with IC-LoRA's reference tokens.

    COMFYUI_PATH=... python scripts/bench/few_shot.py --split validation --seeds 0 --pairs 10
    COMFYUI_PATH=... python scripts/bench/few_shot.py --split test

Every arm trains a LoRA of the same rank on the same pairs with the same batches, noise and number of steps, and is
judged on the same held-out conditions. A finished run is kept in ``--out`` and not made again, so the whole can be
stopped at any moment. Settings are chosen on the validation split; the test split is for one run of the whole.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.ablation_arms import FEW_SHOT, Arm
from parts.arms import Record, add_adapter_options, add_condition_options, arm_parser, chosen
from parts.curves import Curve, draw_curves
from parts.goals import Goal, against
from parts.seed_records import publish
from parts.seed_tables import seed_table

PAIRS = (3, 10, 30, 100)
FIELDS = ("all_right", "colour", "shape", "background", "motion", "same", "path_error", "condition_fidelity")
IDENTITY = ("split", "conditions", "steps", "rank", "learning_rate", "batch", "shift", "caption_dropout", "cfg",
            "sampling_steps", "objects")  # fmt: skip
GOALS = (Goal("30 pairs, TIC-FT", "all_right", 0.90),)

Found = dict[tuple[int, str], list[dict[str, float]]]  # (pairs, arm) -> figures, one a seed


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = arm_parser(__doc__, FEW_SHOT, "pairs, training and sampling noise", "few_shot")
    parser.add_argument("--pairs", nargs="*", type=int, default=list(PAIRS), help="numbers of pairs to train on")
    parser.add_argument("--steps", type=int, default=200, help="of every run, whatever its number of pairs")
    add_adapter_options(parser, batch=8, cfg=1.0)
    add_condition_options(parser, of="run")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.ablation_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    counts, stage = options.pairs, Stage(options)
    for seed in options.seeds:
        for options.pairs in counts:  # what the parts read
            for arm in chosen(FEW_SHOT, options):
                run_arm(stage, arm, seed)
    found = read_results(options.out, options.split)
    publish(report(found), options.out / f"table_{options.split}.md")
    (options.out / f"curves_{options.split}.svg").write_text(draw_curves(curves(found), "clips all right"), "utf-8")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm on one number of pairs with one seed, unless its figures are there."""
    from parts.ablation_runs import figures, sample, train, write_sheet

    options = stage.options
    name = f"{options.split} {options.pairs} {arm.name} {seed}"
    record = Record(options.out / f"{name}.json", options, IDENTITY, base=stage.base)
    if record.finished:
        return
    lora = train(stage, arm, seed, (options.steps,))[options.steps]
    trained = record.seconds
    videos = sample(stage, arm, lora, seed)
    write_sheet(stage, videos, options.out / f"{name}.png")
    found = figures(stage, videos)
    record.keep(pairs=options.pairs, arm=arm.name, seed=seed, training_seconds=trained, figures=found)
    record.tell(name)


def read_results(folder: Path, split: str) -> Found:
    """Figures of every number of pairs and arm, one a seed, in that order."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{split} *.json"))]
    order = [arm.name for arm in FEW_SHOT]
    found: Found = {}
    for record in sorted(records, key=lambda one: (one["pairs"], order.index(one["arm"]), one["seed"])):
        found.setdefault((record["pairs"], record["arm"]), []).append(record["figures"])
    return found


def report(found: Found) -> str:
    """A table of what is there, mean and standard deviation over the seeds, and how far the goal is."""
    rows = {f"{pairs} pairs, {arm}": figures for (pairs, arm), figures in found.items()}
    return seed_table(rows, FIELDS) + against(rows, GOALS)


def curves(found: Found) -> list[Curve]:
    """All right against the number of pairs, one curve an arm."""
    drawn = []
    for arm in FEW_SHOT:
        points = {n: [one["all_right"] for one in figures] for (n, name), figures in found.items() if name == arm.name}
        if points:
            drawn.append(Curve(arm.name, points))
    return drawn


if __name__ == "__main__":
    main()
