"""A training process that is made to be killed, and what is needed to kill it and to compare what comes of it.

    python tests/support/training/killed_training.py FOLDER [--trainer aicl] [--steps 12] [--die fsync:5]

trains a tiny network in the real host with everything that a run of its trainer carries along: for TIC-FT two buckets,
accumulation, a running average, a schedule with warm-up, dropped captions and validation, and for each trainer a state
that is saved at every step. Where it dies is an event of the program, the n-th call of something, and no time.
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

sys.path.append(str(Path(__file__).resolve().parents[1]))  # also when this file is run
from warm_process import Process

ROOT = Path(__file__).resolve().parents[3]
SUPPORT = ROOT / "tests" / "support"
STEPS = 12
NAME, HOLD = "killed", "hold"
TRAINERS = ("tic_ft", "aicl", "motion", "tune_a_video")


def process(
    folder: Path, steps: int = STEPS, die: str = "", name: str = NAME, trainer: str = TRAINERS[0], host: Any = None
) -> subprocess.Popen[str]:
    """Start a training process; it prints ``step N`` after each step and ``done`` at the end.

    ``host`` is a ComfyUI with its ``path`` and ``python``; None takes the one that tests run in.
    """
    options = {"--steps": steps, "--name": name, "--die": die, "--trainer": trainer}
    command = [
        sys.executable if host is None else str(host.python),
        str(Path(__file__)),
        str(folder),
        *(str(part) for pair in options.items() for part in pair),
    ]
    settings = os.environ | ({} if host is None else {"COMFYUI_PATH": str(host.path)})
    return Process(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_through(folder: Path, steps: int = STEPS, die: str = "", **more: Any) -> tuple[int, str]:
    """Run a process to its end, by itself or by the death it was given; its exit code and what it printed."""
    started = process(folder, steps, die, **more)
    out, err = started.communicate()
    return started.returncode, out + err


def kill_after(folder: Path, step: int, steps: int = STEPS, **more: str) -> tuple[int, str]:
    """Start a process and kill it from outside once it stands still, which it does after so many steps of the run."""
    started = process(folder, steps, f"{HOLD}:{step}", **more)
    assert started.stdout is not None
    lines = []
    for line in started.stdout:
        lines.append(line)
        if line.startswith(HOLD):
            started.kill()
            break
    out, err = started.communicate()
    return started.returncode, "".join(lines) + out + err


def tensors(folder: Path) -> dict[str, bytes]:
    """Raw bytes of the tensors of all finished files, by the name of their run and their own."""
    from safetensors import safe_open
    from torch import uint8

    found = {}
    for path in sorted((folder / "output").glob("*/*/*_0*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("fewshot_video.finished") != "true":
                continue
            for key in file.keys():  # noqa: SIM118 - it is no dict
                value = file.get_tensor(key).reshape(-1)
                found[f"{path.parent.name} {key}"] = value.view(uint8).numpy().tobytes()
    assert found, f"nothing in {folder} is finished"
    return found


def arm(die: str, on_step: list[Callable[[int], None]]) -> None:
    """Have the process kill itself at the n-th call of a function of the system or at the end of the n-th step.

    ``hold:N`` has it stand still after step N of the run, or the next one that it does.
    """
    point, _, count = die.partition(":")
    calls = 0

    def count_down(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == int(count):
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def stand_still(done: int) -> None:
        if done >= int(count):
            sys.stdout.write(f"{HOLD}\n")
            sys.stdout.flush()
            threading.Event().wait()

    if point in ("step", HOLD):
        on_step.append(count_down if point == "step" else stand_still)
    elif point:
        before = getattr(os, point)
        setattr(os, point, lambda *args, **more: (count_down(), before(*args, **more))[1])


def load_pack() -> None:
    """Import the checkout as package ``pack``, as the tests do, with its clocks stopped."""
    import importlib.util

    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    sys.path[:0] = [str(SUPPORT), *(str(folder) for folder in sorted(SUPPORT.iterdir()) if folder.is_dir())]
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pack"])
    from no_clock import stop_clocks

    stop_clocks()  # a call of something is the n-th however long the ones before it took


def two_buckets() -> Any:
    """Pairs of two lengths as one FEWSHOT_ENCODED."""
    from dataclasses import replace

    from clip_pairs import encoded_pairs

    short, long = encoded_pairs(clips=3, frames=8), encoded_pairs(clips=2, frames=12, seed=4)
    samples = (*short.dataset.samples, *long.dataset.samples)
    short.dataset = replace(short.dataset, samples=samples)
    return short


def trainer_of(kind: str, weights: Path) -> Callable[[str, int], Any]:
    """A function that trains under a name for so many steps."""
    import tiny_wan

    from pack.training.core.config import TrainConfig

    settings = TrainConfig(ema_decay=0.9, lr_schedule="cosine", warmup_steps=2, save_every=1, density="logit_normal")
    if kind == "tune_a_video":
        import tiny_unet
        from tuning_clips import tune

        unet = tiny_unet.fresh_unet()
        settings = TrainConfig(ema_decay=0.9, lr_schedule="cosine", warmup_steps=2, save_every=1)
        return lambda name, steps: tune(unet, name, steps=steps, settings=settings)
    if not weights.exists():
        tiny_wan.save_tiny_wan(weights)
    model = tiny_wan.load_tiny_wan(weights)
    if kind == "aicl":
        import aicl_runs

        return lambda name, steps: aicl_runs.train(model, name, steps=steps, settings=settings)
    if kind == "motion":
        import motion_runs

        return lambda name, steps: motion_runs.train(
            model, name, steps=steps // 2, appearance_steps=steps - steps // 2, settings=settings
        )
    from tic_ft_runs import train

    everything = TrainConfig(
        **{**settings.to_dict(), "accumulation": 2, "caption_dropout": 0.3, "validate_every": 5}
    )  # fmt: skip
    data, held_out = two_buckets(), two_buckets()
    return lambda name, steps: train(model, name, steps=steps, settings=everything, encoded=data, validation=held_out)


def main() -> None:
    """Train, resume, or die."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--die", default="")
    parser.add_argument("--trainer", choices=TRAINERS, default=TRAINERS[0])
    options = parser.parse_args()
    load_pack()
    import host_in_process

    host_in_process.start()
    import folder_paths

    from pack.nodes.host.services.progress import StepProgress

    folder_paths.set_output_directory(str(options.folder / "output"))
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
    run = trainer_of(options.trainer, options.folder / "wan.safetensors")
    arm(options.die, on_step)
    run(options.name, options.steps)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
