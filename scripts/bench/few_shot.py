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
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.ablation_arms import FEW_SHOT, Arm
from parts.curves import Curve, draw_curves
from parts.goals import Goal, against
from parts.seed_records import is_kept, keep, publish
from parts.seed_tables import seed_table

PAIRS = (3, 10, 30, 100)
FIELDS = ("all_right", "colour", "shape", "background", "motion", "same", "path_error", "condition_fidelity")
IDENTITY = ("split", "conditions", "steps", "rank", "learning_rate", "batch", "shift", "caption_dropout", "cfg",
            "sampling_steps")  # fmt: skip
GOALS = (Goal("30 pairs, TIC-FT", "all_right", 0.90),)

Found = dict[tuple[int, str], list[dict[str, float]]]  # (pairs, arm) -> figures, one a seed


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the settings of docs/few_shot.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--split", choices=("validation", "test"), default="validation")
    add("--arms", nargs="*", default=[arm.name for arm in FEW_SHOT], choices=[arm.name for arm in FEW_SHOT])
    add("--pairs", nargs="*", type=int, default=list(PAIRS), help="numbers of pairs to train on")
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of pairs, training and sampling noise")
    add("--conditions", type=int, default=32, help="held-out conditions of every run")
    add("--steps", type=int, default=200, help="of every run, whatever its number of pairs")
    add("--rank", type=int, default=16)
    add("--learning-rate", type=float, default=1e-3)
    add("--batch", type=int, default=8)
    add("--shift", type=float, default=5.0)
    add("--caption-dropout", type=float, default=0.0)
    add("--cfg", type=float, default=1.0)
    add("--sampling-steps", type=int, default=24)
    add("--sampling-batch", type=int, default=8)
    add("--weights", type=Path, help="another network's file instead of the shipped one, such as `base_one_level`")
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("out") / "few_shot")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.ablation_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    counts, stage = options.pairs, Stage(options)
    for seed in options.seeds:
        for options.pairs in counts:  # what the parts read
            for arm in (arm for arm in FEW_SHOT if arm.name in options.arms):
                run_arm(stage, arm, seed)
    found = read_results(options.out, options.split)
    publish(report(found), options.out / f"table_{options.split}.md")
    (options.out / f"curves_{options.split}.svg").write_text(draw_curves(curves(found), "clips all right"), "utf-8")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm on one number of pairs with one seed, unless its figures are there."""
    from ablation import write_sheet
    from parts.ablation_runs import figures, sample, train

    options = stage.options
    name = f"{options.split} {options.pairs} {arm.name} {seed}"
    identity = {field: getattr(options, field) for field in IDENTITY} | {"base": stage.base}
    if is_kept(options.out / f"{name}.json", identity):
        return
    started = time.monotonic()
    lora = train(stage, arm, seed, (options.steps,))[options.steps]
    trained = time.monotonic() - started
    videos = sample(stage, arm, lora, seed)
    write_sheet(stage, videos, options.out / f"{name}.png")
    record = {"settings": identity, "pairs": options.pairs, "arm": arm.name, "seed": seed, "training_seconds": trained}
    keep(options.out / f"{name}.json", record | {"figures": figures(stage, videos)})
    print(f"{time.monotonic() - started:6.0f} s  {name}", file=sys.stderr, flush=True)


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
