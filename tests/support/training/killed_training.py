"""A training process that is made to be killed, and what is needed to kill it and to compare what comes of it.

    python tests/support/training/killed_training.py FOLDER [--steps 12] [--die fsync:5]

trains a tiny Wan in the real host with everything that a run carries along: two buckets, accumulation, a running
average, a schedule with warm-up, dropped captions, validation, and a state saved at every step.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SUPPORT = ROOT / "tests" / "support"
STEPS = 12
NAME = "killed"
POINTS = ("fsync", "replace", "unlink", "step")


def process(folder: Path, steps: int = STEPS, die: str = "", name: str = NAME) -> subprocess.Popen[str]:
    """Start a training process; it prints ``step N`` after each step and ``done`` at the end."""
    command = [sys.executable, str(Path(__file__)), str(folder), "--steps", str(steps), "--name", name, "--die", die]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_through(folder: Path, steps: int = STEPS, die: str = "", name: str = NAME) -> tuple[int, str]:
    """Run a process to its end, by itself or by the death it was given; its exit code and what it printed."""
    started = process(folder, steps, die, name)
    out, err = started.communicate()
    return started.returncode, out + err


def kill_later(folder: Path, seconds: float, steps: int = STEPS, name: str = NAME) -> tuple[int, str]:
    """Start a process and kill it so long after its first step; exit code and what it had printed."""
    started = process(folder, steps, name=name)
    assert started.stdout is not None
    lines = []
    for line in started.stdout:
        lines.append(line)
        if line.startswith("step"):
            threading.Timer(seconds, started.kill).start()
            break
    out, err = started.communicate()
    return started.returncode, "".join(lines) + out + err


def tensors(folder: Path, name: str = NAME) -> dict[str, bytes]:
    """Raw bytes of the finished LoRA's tensors."""
    from safetensors import safe_open
    from torch import uint8

    for path in sorted((folder / "output" / "loras" / name).glob(f"{name}_0*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {})["fewshot_video.finished"] != "true":
                continue
            return {key: file.get_tensor(key).reshape(-1).view(uint8).numpy().tobytes() for key in sorted(file.keys())}
    raise AssertionError(f"{name} has no finished LoRA")


def arm(die: str, on_step: list[Callable[[int], None]]) -> None:
    """Have the process kill itself at the n-th call of a function of the system, or at the end of a step."""
    point, _, count = die.partition(":")
    calls = 0

    def count_down(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == int(count):
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    if point == "step":
        on_step.append(count_down)
    elif point == "fsync":
        sync = os.fsync
        os.fsync = lambda handle: (count_down(), sync(handle))[1]
    elif point:
        before = getattr(Path, point)
        setattr(Path, point, lambda self, *args, **more: (count_down(), before(self, *args, **more))[1])


def load_pack() -> None:
    """Import the checkout as package ``pack``, as the tests do."""
    import importlib.util

    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    sys.path[:0] = [str(SUPPORT), *(str(folder) for folder in sorted(SUPPORT.iterdir()) if folder.is_dir())]
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pack"])


def two_buckets() -> Any:
    """Pairs of two lengths as one FEWSHOT_ENCODED."""
    from dataclasses import replace

    from clip_pairs import encoded_pairs

    short, long = encoded_pairs(clips=3, frames=8), encoded_pairs(clips=2, frames=12, seed=4)
    samples = (*short.dataset.samples, *long.dataset.samples)
    short.dataset = replace(short.dataset, samples=samples)
    return short


def main() -> None:
    """Train, resume, or die."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--die", default="")
    options = parser.parse_args()
    load_pack()
    import host_in_process

    host_in_process.start()
    import folder_paths
    import tiny_wan
    from tic_ft_runs import train

    from pack.nodes.host.services.progress import StepProgress
    from pack.training.core.config import TrainConfig

    folder_paths.set_output_directory(str(options.folder / "output"))
    weights = options.folder / "wan.safetensors"
    if not weights.exists():
        tiny_wan.save_tiny_wan(weights)
    on_step: list[Callable[[int], None]] = []
    show = StepProgress.show

    def shown(self: Any, done: int, total: int | None = None) -> None:
        show(self, done, total)
        if total is None:
            sys.stdout.write(f"step {done}\n")
            sys.stdout.flush()
            for tell in on_step:
                tell(done)

    StepProgress.show = shown
    settings = TrainConfig(
        ema_decay=0.9, accumulation=2, lr_schedule="cosine", warmup_steps=2, caption_dropout=0.3, save_every=1,
        validate_every=5, density="logit_normal",
    )  # fmt: skip
    model, data = tiny_wan.load_tiny_wan(weights), two_buckets()
    arm(options.die, on_step)
    train(model, options.name, steps=options.steps, settings=settings, encoded=data, validation=two_buckets())
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
