"""Our training step against the host's own ``TrainLoraNode`` and a bare torch loop: time and memory.

    COMFYUI_PATH=... python scripts/bench/train.py [--dim 512] [--layers 12] [--frames 13 25 49] [--rounds 5]
        [--against COMMIT]

One network of the host's Wan class with random weights, fp32 in the file; equal rank, frames and batch. Times are
medians over rounds in which every trainer makes one step, in one process; on a busy machine --clock cpu counts the
processor's time alone. Peak memory is the resident memory of a process that loads the model and makes two steps
(Linux), with the import of the host in it; "added" is without. Small networks hardly show in it.
The core trains in bf16 by default, which some CPUs are much faster in, and we in the model's own type: for equal
types compare "ours, bf16" with "core", and "ours" with "core, fp32".
With --against, each of ours takes turns with itself as it was at that commit, called "..., before"; what that commit
does not know is left out, and a line says so.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

import training_memory
from parts import host_pack, train_modes
from parts.train_modes import COMPILED, EARLIER, MODES, TEXT_DIM, Stepped, Work

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
MEASURED_STEPS = 2  # of which the peak is taken
OURS, _, BARE, CORE, _, OURS_BF16, OURS_BF16_BLOCKS, *_ = MODES
# What is compared, of time (0) or peak memory (1), and the most it should be.
GOALS = (
    (OURS, BARE, 0, 1.05),
    (OURS_BF16, CORE, 0, 0.58),
    (OURS_BF16_BLOCKS, CORE, 0, 0.75),
    (OURS_BF16_BLOCKS, CORE, 1, 0.50),
)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=512, help="width of the network")
    parser.add_argument("--layers", type=int, default=12, help="blocks of the network")
    parser.add_argument("--depths", type=int, nargs="*", default=[6], help="other numbers of blocks")
    parser.add_argument("--frames", type=int, nargs="+", default=[13, 25, 49], help="latent frames; goals: the first")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    parser.add_argument("--rank", type=int, default=16, help="rank of the adapters")
    parser.add_argument("--rounds", type=int, default=5, help="measured steps of each; growth takes a third of them")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what a second is")
    usual = [mode for mode in MODES if not mode.endswith(COMPILED)]
    parser.add_argument("--modes", nargs="+", choices=MODES, default=usual, help="which trainers, besides that one")
    parser.add_argument("--beside", choices=MODES, default=CORE, help="the trainer that all are divided by")
    parser.add_argument("--against", metavar="COMMIT", help="an older commit of this project, measured beside this one")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the process whose memory is measured
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)  # and its network
    return parser.parse_args()


def measure_alone(options: argparse.Namespace) -> None:
    """Print the memory of one trainer in this process, MiB: before it, and at the peak of some steps."""
    before, _ = training_memory.memory()
    work = Work(options.file, options.layers, options.frames[0], options.size, options.rank, options.threads)
    trainer = train_modes.make(options.only, work, training_memory.reset_peak)
    for _ in range(MEASURED_STEPS - 1):
        trainer()
    _, peak = training_memory.memory()
    trainer.close()
    print(json.dumps({"before": before, "peak": peak}))


def peak_of(mode: str, work: Work, against: str | None) -> tuple[float, float]:
    """Peak and added memory of a trainer in a process of its own, MiB."""
    names = ("layers", "frames", "size", "rank", "threads")
    numbers = {"file": work.path, **{name: getattr(work, name) for name in names}}
    arguments = [text for name, value in numbers.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, __file__, *arguments, "--only", mode]
    if against and mode.endswith(EARLIER):
        command += ["--against", against]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{mode} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found["peak"], found["peak"] - found["before"]


def times_of(makers: Mapping[str, Callable[[], Stepped]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of a step by the trainer's name, all in turn."""
    found: dict[str, list[float]] = {mode: [] for mode in makers}
    with contextlib.ExitStack() as stack, contextlib.redirect_stderr(io.StringIO()):
        trainers = {mode: make() for mode, make in makers.items()}
        for trainer in trainers.values():
            stack.callback(trainer.close)
        for _ in range(rounds):
            for mode, trainer in trainers.items():
                begin = clock()
                trainer()
                found[mode].append(clock() - begin)
    return {mode: statistics.median(times) for mode, times in found.items()}


def measure(options: argparse.Namespace, layers: int, frames: int, rounds: int) -> dict[str, tuple[float, ...]]:
    """Seconds, peak and added MiB of every trainer, printed as they come."""
    with tempfile.TemporaryDirectory() as folder:
        path = host_pack.random_wan(Path(folder), options.dim, layers, TEXT_DIM)
        work = Work(path, layers, frames, options.size, options.rank, options.threads)
        modes = [mode for mode in MODES if mode in options.modes or mode == options.beside]
        if options.against:
            ours = [mode for mode in modes if mode.startswith("ours")]
            modes += [f"{mode}{EARLIER}" for mode in train_modes.known_before(ours)]
        makers = {mode: partial(train_modes.make, mode, work) for mode in modes}
        times = times_of(makers, rounds, CLOCKS[options.clock])
        rows = {mode: (seconds, *peak_of(mode, work, options.against)) for mode, seconds in times.items()}
    tokens = frames * (options.size // 2) ** 2
    print(f"\n{layers} blocks, {frames} latents of {options.size}x{options.size}: {tokens} tokens", flush=True)
    print(f"divided by: {options.beside}")
    print(f"{'':36}{'s/step':>9}{'':8}{'peak MiB':>10}{'':8}{'added MiB':>11}")
    for mode, row in rows.items():
        cells = zip(row, rows[options.beside], ("9.3f", "10.0f", "11.0f"), strict=True)
        print(f"{mode:36}" + "".join(f"{value:{form}}{value / core:8.2f}" for value, core, form in cells), flush=True)
    return rows


def report(rows: dict[str, Any]) -> None:
    """Print the ratios that have a goal."""
    print()
    earlier = [(one, f"{one}{EARLIER}", column, 1.0) for one in rows for column in (0, 1)]
    for one, other, column, goal in (*GOALS, *earlier):
        if one not in rows or other not in rows:
            continue
        ratio = rows[one][column] / rows[other][column]
        what = ("step time", "peak memory")[column]
        print(f"{one} / {other}, {what}: {ratio:.3f} (goal <= {goal:g}) {'reached' if ratio <= goal else 'MISSED'}")


def main() -> None:
    """Measure and print."""
    options = parse()
    host_pack.start(options.threads)
    if options.against:
        host_pack.start_before(options.against)
    import comfy_extras.nodes_train  # noqa: F401 - imports must not count
    import diffusers.optimization  # noqa: F401

    if options.only:
        measure_alone(options)
        return
    first, *others = options.frames
    print(f"Wan class, width {options.dim}, rank {options.rank}, batch 1, {options.threads} thread(s)")
    rows = measure(options, options.layers, first, options.rounds)
    growth = [(options.layers, frames) for frames in others] + [(depth, first) for depth in options.depths]
    for layers, frames in growth:
        measure(options, layers, frames, max(1, options.rounds // 3))
    report(rows)


if __name__ == "__main__":
    main()
