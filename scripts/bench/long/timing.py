"""Time of long videos: CPU seconds a source second and a window, which are to be the same at every length.

    COMFYUI_PATH=... python scripts/bench/long/timing.py [--seconds 20 60 240] [--steps 2]

Videos on the coarse toy base without a LoRA, in few steps a window, as their pictures do not matter, one after the
other in one process. Time is the process's own, on one thread. *The rest* is what no window after the first would take
again: loading the model, looking through the source, joining the windows' files.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

LENGTHS, WARM = (20, 60, 240), 3  # seconds


def main() -> None:
    """Make the videos and print a row of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", nargs="+", type=int, default=LENGTHS, help="lengths of the sources")
    parser.add_argument("--steps", type=int, default=2, help="of each window's sampling")
    parser.add_argument("--out", type=Path, default=Path("out") / "long_timing")
    options = parser.parse_args()
    from parts import host_pack

    host_pack.start(1)
    measured(WARM, options)  # what is done once a process is not counted
    columns = ("source", "windows", "CPU s a source second", "a window", "first third", "last third", "the rest, CPU s")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for seconds in options.seconds:
        print(row(seconds, *measured(seconds, options)), flush=True)


def measured(seconds: int, options: argparse.Namespace) -> tuple[list[float], float]:
    """CPU seconds of each window after the first, and of all of a video."""
    import memory

    ends: list[float] = []
    started = time.process_time()
    memory.make(seconds, options.steps, options.out, lambda: ends.append(time.process_time()))
    whole = time.process_time() - started
    return [after - before for before, after in pairwise(ends)], whole


def row(seconds: int, windows: Sequence[float], whole: float) -> str:
    """A row of the table."""
    third, count = max(1, len(windows) // 3), len(windows) + 1
    rest = whole - mean(windows) * count
    parts = (whole / seconds, mean(windows), mean(windows[:third]), mean(windows[-third:]))
    return f"| {seconds} s | {count} | " + " | ".join(f"{value:.2f}" for value in parts) + f" | {rest:.1f} |"


if __name__ == "__main__":
    main()
