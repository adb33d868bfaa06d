"""AICL on large sets: memory, disk and start of a run; 480 x 480 x 49 frames, each reference in two variants.

    COMFYUI_PATH=... python scripts/bench/large_sets.py [--clips 100 1000 5000] [--against COMMIT] [--limit 3]

Nothing is encoded: the cache is filled with entries of the true shapes, as an encoder in bf16 gives them (13 latents of
60 x 60 in 16 channels, three of a clip; a caption of 60 tokens padded to 512 of 4096 numbers, another one each). They
are zeros and lie in files with holes, so that they take next to nothing of this disk; their size is what is counted.
The clips are video files of their own. Then the trainer's own code starts a run on the set in a process of its own, in
which a small Wan is loaded, and draws batches of 2; no network runs. "First start" is that after encoding, when what
sums up the set is worked out; "start" is that of a later run in a new process. Memory is the most that the process
took, the host with it. A set that needs more than ``--limit`` GiB is given up, and larger ones are not tried.

Then, for each of ``--entries``: a write into a folder of so many entries, and the references of so many clips of one
action; Dataset from Folder on ``--read`` small clips, in a first session and in a later one; and what saving a
checkpoint of 400 MiB takes beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
HEAD = "| | clips | disk, GiB | first start, s | start, s | memory before, GiB | most, GiB | a batch of 2, ms |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--against", default="", metavar="COMMIT", help="measure a commit of this repository, too")
    parser.add_argument("--limit", type=float, default=3.0, help="GiB of memory that a process may take")
    parser.add_argument("--entries", type=int, nargs="*", default=[4000, 8000], help="of the folder, or clips")
    parser.add_argument("--read", type=int, nargs="*", default=[1000], help="clips of the folder that is read")
    parser.add_argument("--out", type=Path, default=Path("out") / "large_sets")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    parser.add_argument("--values", default="{}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        from parts.memory import large_set

        print(json.dumps(large_set.PARTS[options.part](**json.loads(options.values))))
        return
    lines = [HEAD, "|---|---|---|---|---|---|---|---|"]
    counts = ["| | entries or clips | a write, ms | references, ms | MiB |", "|---|---|---|---|---|"]
    folders = ["| | clips | Dataset from Folder, s | later, s |", "|---|---|---|---|"]
    states = ["| | a checkpoint, of its size |", "|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        trees = {"now": ROOT}
        if options.against:
            trees[options.against] = checkout(options.against, Path(folder))
        for name, root in trees.items():
            lines += sets(name, root, options)
            counts += [counted(name, root, count) for count in options.entries]
            folders += [of_folder(name, root, count) for count in options.read]
            states.append(f"| {name} | {run('checkpoint', {'root': str(root), 'entries': 0})['share']:.3f} |")
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*lines, "", *counts, "", *folders, "", *states]) + "\n"
    (options.out / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def checkout(commit: str, folder: Path) -> Path:
    """The files of a commit in a folder."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder


def sets(name: str, root: Path, options: argparse.Namespace) -> list[str]:
    """A line of the table for each size."""
    lines: list[str] = []
    for count in options.clips:
        with tempfile.TemporaryDirectory(prefix="large-sets-") as folder:
            values = {"root": str(root), "folder": folder, "count": count}
            disk = run("fill", values)["bytes"]
            first = run("start", {**values, "limit": options.limit})
            again = run("start", {**values, "limit": options.limit}) if "start" in first else first
        cells = f"| {name} | {count} | {disk / GIB:.1f} | "
        if "start" not in again:
            lines.append(f"{cells}| | | more than {options.limit:g} | |")
        else:
            figures = [again["start"], again["before"] / GIB, again["peak"] / GIB]
            lines.append(
                f"{cells}{first['start']:.1f} | {' | '.join(f'{one:.2f}' for one in figures)} | {again['batch']:.0f} |"
            )
        sys.stderr.write(lines[-1] + "\n")
        if "start" not in again:
            break
    return lines


def counted(name: str, root: Path, count: int) -> str:
    """A line of the table of what grows with entries or clips."""
    write, choices = (run(part, {"root": str(root), "entries": count}) for part in ("writes", "choices"))
    figures = f"{write['milliseconds']:.1f} | {choices['milliseconds']:.0f} | {choices['bytes'] / 2**20:.1f}"
    return f"| {name} | {count} | {figures} |"


def of_folder(name: str, root: Path, count: int) -> str:
    """A line of the table of folders."""
    with tempfile.TemporaryDirectory(prefix="large-sets-") as folder:
        values = {"root": str(root), "folder": str(Path(folder) / "clips"), "count": count}
        Path(values["folder"]).mkdir()
        run("clips", values)
        first, later = (run("read", values)["seconds"] for _ in range(2))
    return f"| {name} | {count} | {first:.1f} | {later:.1f} |"


def run(part: str, values: dict[str, Any]) -> dict[str, Any]:
    """A part's figures, measured in a process of its own; none where that did not end well."""
    command = [sys.executable, __file__, "--part", part, "--values", json.dumps(values)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if not done.returncode:
        return json.loads(done.stdout.splitlines()[-1])
    if "limit" not in values or not any(sign in done.stderr for sign in ("MemoryError", "memory", "alloc")):
        raise SystemExit(done.stderr)
    return {}


if __name__ == "__main__":
    main()
