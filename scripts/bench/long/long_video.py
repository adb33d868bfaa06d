"""Videos of any length on the toy model: seams, drift, memory and time, against two other ways to cut a long video.

    COMFYUI_PATH=... python scripts/bench/long/long_video.py [--seconds 20 60 240] [--steps 8] [--out out/long_video]

A LoRA of the fine toy base (24 pairs, 120 steps of 4, a noise level per frame, seed 0) shows a circling object on black
or grey again on white. Every video is made in a process of its own, which tells its peak of memory; a finished one is
kept in ``--out`` and not made again.

- ``overlap 2``: TIC-FT Long Video as it is. ``naive``: the same with `overlap_latents` 0, so that each window is alone.
- ``true latents``: the same windows, of the ground truth's latents instead of sampled ones: the seam of the VAE alone.
- ``context windows``: TIC-FT Context for the whole length, and the host's Context Windows of the same 13 latents.

Seam error: mean change from frame to frame across the windows' borders, over that elsewhere. A latent holds four
frames, and the change across its borders may be larger anyhow, so the ratio to other borders of latents stands beside
it; *of truth's* divides by the same of the ground truth at these frames. Time is the process's own, on one thread.
Peaks are of processes in which blocks of memory above 1 MB come from the system and go back to it
(MALLOC_MMAP_THRESHOLD_): what glibc keeps of freed blocks comes and goes by 100 MB, and the highest of many windows is
higher than that of few. `--heap` leaves that as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when loaded by path

from parts.seed_records import publish

ARMS = ("overlap 2", "true latents", "naive", "context windows")
SHORT = 10  # seconds; what memory is compared with
SETTINGS = ("steps", "cfg", "seed")
COLUMNS = {
    "frames": "{:.0f}", "seam error": "{:.2f}", "after the first window": "{:.2f}", "seam, of truth's": "{:.2f}",
    "of latent borders": "{:.2f}",
    "colour": "{:.2f}", "shape": "{:.2f}", "background": "{:.2f}", "object found": "{:.2f}", "path error, px": "{:.1f}",
    "path error, px, last quarter": "{:.1f}", "off the truth": "{:.3f}", "off the truth, last quarter": "{:.3f}",
    "CPU s a frame": "{:.2f}", "peak, MB": "{:.0f}",
}  # fmt: skip
BLOCK = str(2**20)  # bytes
# Has glibc take blocks above that from the system, and give them back; read when a process begins.
RETURNED = {"MALLOC_MMAP_THRESHOLD_": BLOCK, "MALLOC_TRIM_THRESHOLD_": BLOCK}
Record = dict[str, Any]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--seconds", nargs="*", type=int, default=[20, 60, 240], help="lengths of the sources")
    add("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    add("--others", type=int, default=240, help="longest source, seconds, of the arms besides the first")
    add("--steps", type=int, default=8, help="of each window's sampling")
    add("--cfg", type=float, default=1.0)
    add("--seed", type=int, default=0)
    add("--heap", action="store_true", help="peaks of memory with what glibc keeps of freed blocks")
    add("--out", type=Path, default=Path("out") / "long_video")
    add("--one", nargs=2, metavar=("ARM", "SECONDS"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.one:
        from parts import host_pack

        host_pack.start(1)
        import runs

        runs.run(options.one[0], int(options.one[1]), options)
        return
    records = [record for job in _jobs(options) if (record := _made(*job, options)) is not None]
    publish(report(records), options.out / "table.md")


def _jobs(options: argparse.Namespace) -> list[tuple[str, int]]:
    lengths = sorted({SHORT, *options.seconds})
    return [(arm, n) for arm in options.arms for n in lengths if arm == ARMS[0] or SHORT < n <= options.others]


def _made(arm: str, seconds: int, options: argparse.Namespace) -> Record | None:
    """The record of one video, made in a process of its own unless it is there."""
    path = record_path(options.out, arm, seconds)
    settings = {name: getattr(options, name) for name in SETTINGS}
    if not path.exists():
        numbers = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, __file__, "--one", arm, str(seconds), "--out", str(options.out), *numbers]
        mapped = {} if options.heap else RETURNED
        subprocess.run(command, check=True, env={**os.environ, **mapped, "PYTHONUNBUFFERED": "1"})
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["settings"] != settings:
        raise SystemExit(f"{path.name} was made with other settings; give another --out, or delete it")
    return record


def record_path(folder: Path, arm: str, seconds: int) -> Path:
    """Where the figures of one video lie."""
    return folder / f"{arm} {seconds} s.json"


def report(records: list[Record]) -> str:
    """The table, and what its rows say of memory and time."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for record in records:
        lines.append(_line(f"{record['arm']}, {record['seconds']} s", record["figures"]))
        if record["arm"] == ARMS[0]:
            lines.append(_line(f"ground truth, {record['seconds']} s", record["truth"]))
    own = {record["seconds"]: record["figures"] for record in records if record["arm"] == ARMS[0]}
    text = "\n".join(lines) + "\n\n" + "".join(f"{_drift(record)}\n" for record in records)
    for seconds, figures in own.items():
        if SHORT in own and seconds > SHORT:
            memory = figures["peak, MB"] / own[SHORT]["peak, MB"]
            time = figures["CPU s a frame"] / own[SHORT]["CPU s a frame"]
            text += f"{seconds} s over {SHORT} s: peak memory {memory:.3f}, time a frame {time:.2f}\n"
    return text


def _line(name: str, figures: dict[str, float]) -> str:
    cells = (form.format(figures[column]) if column in figures else "" for column, form in COLUMNS.items())
    return f"| {name} | " + " | ".join(cells) + " |"


def _drift(record: Record) -> str:
    """Colour, shape and path error of each quarter of a video."""
    rows, columns = record["by window"], ("colour", "shape", "path error")
    share = max(1, len(rows) // 4)
    quarters = [rows[i * share : (i + 1) * share if i < 3 else None] or rows[-1:] for i in range(4)]
    means = [[sum(row[at] for row in part) / len(part) for part in quarters] for at in (1, 2, 5)]
    drift = "; ".join(
        f"{name} {', '.join(f'{value:.2f}' for value in part)}" for name, part in zip(columns, means, strict=True)
    )
    return f"{record['arm']}, {record['seconds']} s, by quarter: {drift}"


if __name__ == "__main__":
    main()
