"""TIC-FT's claims as figures: arms, seeds and held-out conditions on the toy model, judged without nets.

    COMFYUI_PATH=... python scripts/bench/ablation.py --split validation --arms "few-shot, buffers" --seeds 0
    COMFYUI_PATH=... python scripts/bench/ablation.py --split test
    COMFYUI_PATH=... python scripts/bench/ablation.py --split validation --seeds 0 --arms "few-shot, high levels"

A finished arm of a seed is kept in ``--out`` and not run again, so the whole can be stopped at any moment. Settings
are chosen on the validation split; the test split holds other combinations of shape, colour and motion.
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
from parts.ablation_arms import ARMS, CHECKS, Arm, row_name
from parts.seed_records import is_kept, keep, publish
from parts.seed_tables import seed_table

SHARES = ("colour", "shape", "background", "motion", "all_right", "every_frame")
SCORES = ("path_error", "condition_fidelity", "frame_consistency", "dynamic_degree", "flow_agreement", "ssim")
IDENTITY = ("split", "conditions", "pairs", "rank", "learning_rate", "batch", "shift", "caption_dropout", "cfg",
            "sampling_steps")  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    """Command line; the defaults are the settings of the table in docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--split", choices=("validation", "test"), default="validation")
    add("--arms", nargs="*", default=[arm.name for arm in ARMS], choices=[arm.name for arm in (*ARMS, *CHECKS)])
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of pairs, training and sampling noise")
    add("--conditions", type=int, default=32, help="held-out conditions of every arm and seed")
    add("--pairs", type=int, default=30)
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
    add("--out", type=Path, default=Path("out") / "ablation")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.ablation_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(options)
    for seed in options.seeds:
        for arm in (arm for arm in (*ARMS, *CHECKS) if arm.name in options.arms):
            run_arm(stage, arm, seed)
    text = table(read_results(options.out, options.split))
    publish(text, options.out / f"table_{options.split}.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Train and sample one arm with one seed, unless its figures are there."""
    from parts.ablation_runs import figures, sample, train

    path = stage.options.out / f"{stage.options.split} {arm.name} {seed}.json"
    identity = {name: getattr(stage.options, name) for name in IDENTITY} | {"base": stage.base}
    if is_kept(path, identity):
        return
    started = time.monotonic()
    loras = train(stage, arm, seed) if arm.steps else {0: None}
    trained = time.monotonic() - started
    rows = {}
    for steps, lora in loras.items():
        videos = sample(stage, arm, lora, seed)
        write_sheet(stage, videos, stage.options.out / f"{stage.options.split} {arm.name} {steps} {seed}.png")
        rows[row_name(arm, steps)] = figures(stage, videos)
        print(f"{time.monotonic() - started:6.0f} s  seed {seed}  {row_name(arm, steps)}", file=sys.stderr, flush=True)
    record = {"settings": identity, "seed": seed, "rows": rows, "training_seconds": trained}
    keep(path, record)


def read_results(folder: Path, split: str) -> dict[str, list[dict[str, float]]]:
    """Figures of every row, one a seed, in the arms' order."""
    rows: dict[str, list[dict[str, float]]] = {}
    for arm in (*ARMS, *CHECKS):
        for path in sorted(folder.glob(f"{split} {arm.name} [0-9]*.json")):
            for name, found in json.loads(path.read_text(encoding="utf-8"))["rows"].items():
                rows.setdefault(name, []).append(found)
    return rows


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Two Markdown tables, mean and standard deviation over the seeds."""
    return "\n".join(seed_table(rows, names) for names in (SHARES, SCORES))


def write_sheet(stage: Any, videos: list[Any], path: Path) -> None:
    """Eight conditions with nine frames of what was made of each, to look at."""
    import numpy as np
    from PIL import Image

    rows = []
    for video, one in list(zip(videos, stage.samples, strict=True))[:8]:
        picks = np.linspace(0, len(video) - 1, 9).astype(int)
        rows.append(np.concatenate([one.conditions[0].frames()[0].numpy(), *video[picks]], axis=1))
    Image.fromarray((np.concatenate(rows).clip(0, 1) * 255).astype("uint8")).save(path)


if __name__ == "__main__":
    main()
