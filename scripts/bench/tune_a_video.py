"""The three ablations of Tune-A-Video on the toy image model, judged without nets.

    COMFYUI_PATH=... python scripts/bench/tune_a_video.py [--seeds 0 1 2] [--out out/tune_a_video]

For each seed one clip is tuned on, with its caption (which says nothing of the motion), and sampled with eight other
captions: three other shapes, two colours, two backgrounds, one look. A finished arm of a seed is kept in ``--out``, so
the whole can be stopped at any moment. Settings were chosen on seeds from 100 on.
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
from parts.goals import Worse, against
from parts.seed_records import is_kept, keep, publish
from parts.seed_tables import seed_table

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--arms", nargs="*", default=[arm.name for arm in ARMS], choices=[arm.name for arm in ARMS])
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of the clip, tuning and fresh noise")
    add("--steps", type=int, default=300)
    add("--learning-rate", type=float, default=3e-4)
    add("--frames", type=int, default=24)
    add("--stride", type=int, default=2)
    add("--sampling-steps", type=int, default=50)
    add("--cfg", type=float, default=4.0)
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("out") / "tune_a_video")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    host_pack.start(options.threads)
    from parts.tune_a_video_runs import Stage

    options.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(options)
    for seed in options.seeds:
        for arm in (arm for arm in ARMS if arm.name in options.arms):
            run_arm(stage, arm, seed)
    rows = read_results(options.out, options.seeds)
    text = seed_table(rows, FIELDS, small=True) + against(rows, GOALS)
    publish(text, options.out / "table.md")


def run_arm(stage: Any, arm: Arm, seed: int) -> None:
    """Tune and sample one arm with one seed, unless its figures are there."""
    from parts.tune_a_video_runs import figures, scene_of, videos_of

    path = stage.options.out / f"{arm.name} {seed}.json"
    identity = {name: getattr(stage.options, name) for name in IDENTITY}
    if is_kept(path, identity):
        return
    started = time.monotonic()
    source, videos = videos_of(stage, arm, seed)
    write_sheet(source, videos, path.with_suffix(".png"))
    record = {"settings": identity, "seed": seed, "figures": figures(scene_of(seed), source, videos)}
    keep(path, record)
    print(f"{time.monotonic() - started:6.0f} s  seed {seed}  {arm.name}", file=sys.stderr, flush=True)


def read_results(folder: Path, seeds: list[int]) -> dict[str, list[dict[str, float]]]:
    """Figures of every arm, one a seed."""
    rows: dict[str, list[dict[str, float]]] = {}
    for arm in ARMS:
        for path in (folder / f"{arm.name} {seed}.json" for seed in seeds):
            if path.exists():
                rows.setdefault(arm.name, []).append(json.loads(path.read_text(encoding="utf-8"))["figures"])
    return rows


def write_sheet(source: Any, videos: list[Any], path: Path) -> None:
    """The source clip, then every edit, eight frames each."""
    import numpy as np
    from PIL import Image

    strips = []
    for video in (source, *videos):
        picks = np.linspace(0, len(video) - 1, 8).astype(int)
        strips.append(np.concatenate(list(video[picks]), axis=1))
    Image.fromarray((np.concatenate(strips).clip(0, 1) * 255).astype("uint8")).save(path)


if __name__ == "__main__":
    main()
