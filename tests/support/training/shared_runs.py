"""Runs that begin in the graph and go on in several processes, as their users have them; tiny networks.

    python tests/support/training/shared_runs.py BASE --trainers aicl --steps 3

executes a graph of the host's loader, a data set in the cache and a Train node, in BASE. ``launch`` then starts
``train.py`` so many times, as a launcher would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from killed_training import load_pack

sys.path.append(str(Path(__file__).resolve().parents[1]))  # also when this file is run, or imported by a bench
from patience import PATIENCE
from tested_command import FAIL, HELD, HOLD, SHORT
from warm_process import Process

TRAINERS = ("tic_ft", "aicl", "motion", "tune_a_video")
NAME = TRAINERS[0]  # runs are called after their trainer
RUN_SETTINGS = {
    "save_every": 1, "keep": 2, "validate_every": 0, "sample_every": 0, "checkpointing": "off", "lora_dtype": "fp32",
    "expert": "both",
}  # fmt: skip
WAIT = PATIENCE  # seconds that a process may take
# What lets gloo find an interface on a machine without a network.
ALONE = {"GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1"}
COMMAND = Path(__file__).with_name("tested_command.py")
_ports: list[socket.socket] = []  # those that groups of processes have been given


def begin(base: Path, steps: int, *trainers: str, **options: Any) -> None:
    """Train in the graph until so many steps are done; what the graph says of the goal stays."""
    values = {"--steps": steps} | {f"--{name}": value for name, value in options.items()}
    words = [str(part) for pair in values.items() for part in pair]
    command = [sys.executable, __file__, str(base), *words, "--trainers", *(trainers or TRAINERS[:1])]
    with Process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            out, err = started.communicate(timeout=WAIT)
        finally:
            started.kill()
    assert started.returncode == 0, out + err


def copy(base: Path, to: Path) -> Path:
    """A copy of what was begun; the tensors of its runs, half a gigabyte, are the same files: none is written into."""

    def copied(source: str, target: str) -> None:
        if source.endswith(".safetensors") and source.startswith(str(base / "output")):
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    return shutil.copytree(base, to, copy_function=copied)


def launch(
    base: Path,
    count: int,
    *arguments: str,
    run: str | tuple[str, ...] = NAME,
    script: Path = COMMAND,
    hold: str = "",
    short: str = "",
    fail: str = "",
    others: Path | None = None,
) -> list[subprocess.Popen[str]]:
    """Start the command in so many processes of one group; for ``hold``, ``short`` and ``fail`` see ``tested_command``.

    The processes after the first have ``others`` in the place of ``base``, if that is given.
    """
    port, started = free_port(), []
    asked = {HOLD: hold, HELD: str(held_file(base)), SHORT: short, FAIL: fail}
    for rank in range(count):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
        settings = os.environ | ALONE | asked | {name: str(value) for name, value in place.items()}
        runs = (run,) if isinstance(run, str) else run
        command = [sys.executable, str(script), *runs, "--base-directory", str((rank and others) or base), *arguments]
        started.append(
            Process(
                command,
                env=settings,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
    return started


def finish(started: list[subprocess.Popen[str]], wait: float = WAIT) -> list[tuple[int, str]]:
    """Wait for the processes: exit code and errors of each. What is left over at the end is killed."""
    printed: dict[int, str] = {}

    def read(i: int) -> None:
        printed[i] = started[i].communicate()[1]

    readers = [threading.Thread(target=read, args=(i,)) for i in range(len(started))]
    for reader in readers:
        reader.start()
    try:
        for reader in readers:
            reader.join(wait)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
    return [(process.wait(), printed.get(i, "(killed by the test)")) for i, process in enumerate(started)]


def go_on(base: Path, count: int, *runs: str, arguments: tuple[str, ...] = (), wait: float = WAIT) -> None:
    """Go on with runs to their end in so many processes."""
    ends = finish(launch(base, count, *arguments, run=runs or NAME), wait)
    assert [code for code, _ in ends] == [0] * count, ends


def held_file(base: Path) -> Path:
    """What is there while a process stands still."""
    return base / "held"


def wait_held(group: list[subprocess.Popen[str]], base: Path) -> None:
    """Wait until a process stands still, as it was asked to."""
    pause = threading.Event()
    for _ in range(int(WAIT / 0.02)):
        if held_file(base).exists():
            return
        assert all(process.poll() is None for process in group), finish(group)
        pause.wait(0.02)
    raise AssertionError("no process stands still")


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody else until this process ends."""
    port = socket.socket()
    _ports.append(port)
    port.bind(("127.0.0.1", 0))
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # now who asks for it by its number may have it
    return int(port.getsockname()[1])


def run_path(base: Path, run: str = NAME) -> Path:
    """The run's folder."""
    return base / "output" / "fewshot_video" / "runs" / run


def record(base: Path, run: str = NAME) -> dict[str, Any]:
    """The run's record."""
    return json.loads((run_path(base, run) / "run.json").read_text())


def losses(base: Path, run: str = NAME) -> dict[int, float]:
    """Loss of each step, as the last session that did it wrote it."""
    lines = (run_path(base, run) / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line]
    return {entry["step"]: entry["loss"] for entry in entries if entry["kind"] == "step"}


def validated(base: Path, run: str = NAME) -> dict[int, float]:
    """Mean validation loss by step."""
    lines = (run_path(base, run) / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line]
    return {entry["step"]: entry["losses"]["mean"] for entry in entries if entry["kind"] == "validation"}


def history(base: Path) -> list[float]:
    """Losses of all finished runs, unrounded, one run after the other."""
    found: list[float] = []
    for path in sorted((base / "output" / "fewshot_video" / "runs").glob("*/history.json")):
        found += json.loads(path.read_text())["loss"]
    assert found, f"nothing in {base} is finished"
    return found


def trained(base: Path) -> dict[str, Any]:
    """Tensors of all finished files, by the name of their run and their own."""
    from safetensors import safe_open

    found = {}
    for path in sorted((base / "output").glob("*/*/*_0*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("fewshot_video.finished") == "true":
                names = list(file.keys())
                found |= {f"{path.parent.name} {name}": file.get_tensor(name) for name in names}
    assert found, f"nothing in {base} is finished"
    return found


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """How far one LoRA is from another, relative to its size: ``|a - b| / |b|`` over all tensors."""
    assert one.keys() == other.keys()
    apart = sum(float((one[name].double() - other[name].double()).square().sum()) for name in one)
    size = sum(float(value.double().square().sum()) for value in other.values())
    return (apart / size) ** 0.5


def graph_of(trainer: str, goal: int, batch: int, accumulation: int) -> dict[str, Any]:
    """The graph of a Train node."""
    from pack.training.core.config import TrainConfig
    from pack.training.runs.graph import settings_inputs

    config = TrainConfig(accumulation=accumulation, caption_dropout=0.0 if trainer == "aicl" else 0.2)
    settings = settings_inputs(config.to_dict())
    node, own = {
        "tic_ft": ("TICFTTrain", {"task": "image to video", "rank": 4, "learning_rate": 0.002}),
        "aicl": ("AICLTrain", {"learning_rate": 0.002, "group_by": "sub-folder"}),
        "motion": ("FewShotMotionTrain", {"rank": 4, "learning_rate": 0.002, "appearance_steps": goal}),
        "tune_a_video": ("TuneAVideoTrain", {"learning_rate": 0.002}),
    }[trainer]
    inputs = {
        "model": ["1", 0],
        "encoded": ["2", 0],
        "settings": ["4", 0],
        "steps": goal,
        "seed": 1,
        "run_name": trainer,
    }
    nodes = {
        "1": ("UNETLoader", {"unet_name": "tiny.safetensors", "weight_dtype": "default"}),
        "2": ("TinySet", {"trainer": trainer}),
        "3": ("FewShotTrainSettings", settings),
        "4": ("FewShotRunSettings", {"settings": ["3", 0], **RUN_SETTINGS}),
        "5": (node, {**inputs, "batch_size": batch, **own}),
    }
    if trainer == "tic_ft":  # process 0 validates while the others wait
        nodes["4"][1]["validate_every"] = 2
        nodes["5"][1]["validation"] = ["6", 0]
        nodes["6"] = ("TinySet", {"trainer": trainer})
    if trainer == "tune_a_video":  # with the encoders of the toy model, and one clip that is its own batch
        encoders = {"dataset": ["6", 0], "vae": ["1", 2], "clip": ["1", 1], "cache": True}
        nodes |= {"1": ("FewShotToyImageModel", {}), "2": ("FewShotEncodeDataset", encoders)}
        nodes["6"] = ("FewShotToyClips", {"kind": "style transfer", "count": 2, "seed": 3})
        nodes["5"][1].update(frames=3)
    return {key: {"class_type": name, "inputs": values} for key, (name, values) in nodes.items()}


def tiny_sets() -> Any:
    """A node of the host that gives a trainer's data set, in the cache of the host's output folder."""
    import aicl_runs
    import motion_runs
    from clip_pairs import encoded_pairs

    from pack.nodes.host.services.folders import cache_folder
    from pack.training.storage.cache import DiskCache

    class TinySet:
        RETURN_TYPES = ("FEWSHOT_ENCODED",)
        FUNCTION = "give"
        CATEGORY = ""

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
            return {"required": {"trainer": ("STRING", {})}}

        def give(self, trainer: str) -> tuple[Any]:
            makers = {"tic_ft": lambda: encoded_pairs(clips=5), "aicl": lambda: aicl_runs.clips_of(clips=6)}
            makers["motion"] = lambda: motion_runs.one_clip(clips=3)
            encoded = makers[trainer]()
            encoded._cache, encoded._folder = DiskCache(cache_folder()), cache_folder()
            return (encoded,)

    return TinySet


def main() -> None:
    """Execute the graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("--steps", type=int, default=3, help="done in the graph")
    parser.add_argument("--goal", type=int, default=6, help="of the run")
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, default=list(TRAINERS[:1]))
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--accumulation", type=int, default=1)
    options = parser.parse_args()
    load_pack()
    from pack.nodes.host.launch.boot import load_nodes, start_host
    from pack.nodes.host.launch.graph import GraphError, execute

    weights = options.base / "models" / "diffusion_models" / "tiny.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    start_host(Path(os.environ["COMFYUI_PATH"]), ["--cpu", "--base-directory", str(options.base)])
    import comfy.model_management
    import execution
    import tiny_wan

    from pack.nodes import node_list
    from pack.nodes.host.services.progress import StepProgress

    if not weights.exists():
        tiny_wan.save_tiny_wan(weights)
    load_nodes({"UNETLoader"}, node_list())
    execution.nodes.NODE_CLASS_MAPPINGS["TinySet"] = tiny_sets()
    show = StepProgress.show

    def shown(self: Any, done: int, total: int | None = None) -> None:
        show(self, done, total)
        if total is None and done == options.steps:
            comfy.model_management.interrupt_current_processing()  # as the page's cancel does

    if options.steps < options.goal:
        StepProgress.show = shown
    for trainer in options.trainers:
        with contextlib.suppress(GraphError if options.steps < options.goal else ()):
            execute(graph_of(trainer, options.goal, options.batch, options.accumulation), "5", {})


if __name__ == "__main__":
    main()
