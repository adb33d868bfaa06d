"""One run in 1, 2 and 4 processes on this machine: how far losses and LoRA are from those of one, and seconds a step.

    COMFYUI_PATH=... python scripts/bench/distributed/elastic.py [--trainers tic_ft aicl] [--steps 50] [--counts 1 2 4]

A run begins in the graph, of a tiny network, and each number of processes goes on with a copy of it. The limit is 1e-5,
relative; a second run in as many processes must give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "support" / "training"))

import shared_runs

LIMIT = 1e-5  # relative distance of losses and LoRA
HOUR = 3600.0  # seconds that a process may take


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainers", nargs="+", default=list(shared_runs.TRAINERS), choices=shared_runs.TRAINERS)
    parser.add_argument("--steps", type=int, default=50, help="of each run")
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 2, 4], help="processes")
    parser.add_argument("--batch", type=int, default=3, help="clips of a batch")
    parser.add_argument("--accumulation", type=int, default=3, help="batches of a step")
    return parser.parse_args()


def main() -> int:
    """Measure and print; 1 where a goal is missed."""
    options = parse()
    missed = 0
    print(f"{options.steps} steps of {options.batch * options.accumulation} clips, fp32, gloo")
    print("| trainer | processes | losses apart | LoRA apart | same bytes again | seconds a step |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="fewshot-bench-") as folder:
        for trainer in options.trainers:
            for row in measured(Path(folder) / trainer, trainer, options):
                print(f"| {trainer} | {row['count']} | {row['loss']:.1e} | {row['lora']:.1e} | {row['again']} | "
                      f"{row['seconds']:.3f} |", flush=True)  # fmt: skip
                missed += row["loss"] > LIMIT or row["lora"] > LIMIT or row["again"] == "no"
    return int(missed > 0)


def measured(folder: Path, trainer: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each number of processes."""
    start = folder / "start"
    batch = {"batch": options.batch, "accumulation": options.accumulation}
    shared_runs.begin(start, 1, trainer, goal=options.steps, **batch)
    first: Any = None
    for count in options.counts:
        once = gone_on(start, folder / f"{count}", trainer, count)
        again = gone_on(start, folder / f"{count} again", trainer, count)
        first = first or once
        yield {
            "count": count,
            "loss": max(abs(a - b) / abs(b) for a, b in zip(once[0], first[0], strict=True)),
            "lora": shared_runs.distance(once[1], first[1]),
            "again": "yes" if shared_runs.distance(once[1], again[1]) == 0.0 else "no",
            "seconds": once[2],
        }


def gone_on(start: Path, base: Path, trainer: str, count: int) -> tuple[list[float], dict[str, Any], float]:
    """Losses, tensors and median seconds of a step of a copy of the run, gone on with in so many processes."""
    shutil.copytree(start, base)
    shared_runs.go_on(base, count, trainer, wait=HOUR)
    seconds = []
    for path in sorted((base / "output" / "fewshot_video" / "runs").glob("*/metrics.jsonl")):
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        seconds += [entry["seconds"] for entry in entries if entry["kind"] == "step"]
    return shared_runs.history(base), shared_runs.trained(base), statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
