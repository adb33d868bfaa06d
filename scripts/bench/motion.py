"""One-shot motion as figures: one clip of a motion the toy model was never shown, then other subjects with it.

    COMFYUI_PATH=... python scripts/bench/motion.py --arms base "two stages" --seeds 0
    COMFYUI_PATH=... python scripts/bench/motion.py

Every arm is trained on the same clip and asked for the motion with other shapes, colours and backgrounds, and for
motions that the base knew. A finished arm of a seed is kept in ``--out`` and not run again, so the whole can be stopped
at any moment.
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
from parts.goals import Goal, Worse, against
from parts.one_shot_arms import ARMS, Arm, row_name
from parts.seed_records import is_kept, keep, publish
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--arms", nargs="*", default=[arm.name for arm in ARMS], choices=[arm.name for arm in ARMS])
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of training and sampling noise")
    add("--motion", default="loops in a figure eight", help="one of the toy world's held-out motions")
    add("--subjects", type=int, default=8, help="other subjects with the motion, and as many known motions")
    add("--rank", type=int, default=16)
    add("--learning-rate", type=float, default=1e-3)
    add("--steps", type=int, default=400)
    add("--appearance-steps", type=int, default=200)
    add("--batch", type=int, default=4)
    add("--shift", type=float, default=5.0, help="of the noise levels in training")
    add("--cfg", type=float, default=2.0)
    add("--sampling-steps", type=int, default=24)
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("out") / "motion")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.one_shot_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(options)
    for seed in options.seeds:
        for arm in (arm for arm in ARMS if arm.name in options.arms):
            run_arm(stage, arm, seed)
    text = table(read_results(options.out))
    publish(text, options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm with one seed, unless its figures are there."""
    from parts.one_shot_runs import figures, sample, train, write_sheet

    path = stage.options.out / f"{arm.name} {seed}.json"
    identity = {name: getattr(stage.options, name) for name in IDENTITY}
    if is_kept(path, identity):
        return
    started = time.monotonic()
    lora = train(stage, arm, seed)
    trained = time.monotonic() - started
    rows = {}
    for end in arm.ends:
        name = row_name(arm, end)
        new, known = (sample(stage, lora, end, scenes, seed) for scenes in (stage.new, stage.known))
        write_sheet(stage, new, known, stage.options.out / f"{name} {seed}.png")
        rows[name] = figures(stage, new, known)
        print(f"{time.monotonic() - started:6.0f} s  seed {seed}  {name}", file=sys.stderr, flush=True)
    record = {"settings": identity, "seed": seed, "rows": rows, "training_seconds": trained}
    keep(path, record)


def read_results(folder: Path) -> dict[str, list[dict[str, float]]]:
    """Figures of every row, one a seed, in the arms' order."""
    rows: dict[str, list[dict[str, float]]] = {}
    for arm in ARMS:
        for path in sorted(folder.glob(f"{arm.name} [0-9]*.json")):
            for name, found in json.loads(path.read_text(encoding="utf-8"))["rows"].items():
                rows.setdefault(name, []).append(found)
    return rows


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Two Markdown tables, of the new motion and of the known ones: mean and standard deviation over the seeds."""
    return "\n".join(seed_table(rows, names) for names in (NEW, KNOWN)) + against(rows, GOALS)


if __name__ == "__main__":
    main()
