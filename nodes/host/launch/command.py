"""The command ``train.py RUN``: go on with a run of the graph outside of it, in one process or in several."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ....training.distributed.processes import Processes, among
from ....training.runs.portable import PortableRun, recalled_set
from .boot import load_nodes, start_host
from .graph import GraphError, execute, training_graph
from .runs import find_run, output_of
from .terminal import TerminalBar, speak

RUN = "run"  # what process 0 tells before a run begins
# Errors of nodes: there is nothing more to do, or another process has ended the run and all know of it.
NOTHING_MORE, BY_OTHERS = ("FollowedError", "OnlyEncodedError"), ("PeerFailedError", "PeerLostError")
ENDED = 130  # exit code after Ctrl-C, as of shells
IMPATIENT = 2.0  # seconds after which a second Ctrl-C ends at once
EXPLAINED = """
further arguments are ComfyUI's own, as of its main.py: --base-directory, --output-directory, --cpu,
--extra-model-paths-config ... They must lead to the same folders as in the ComfyUI that began the run.

several cards:     accelerate launch --multi_gpu --num_processes 2 train.py RUN
several machines:  docs/more_cards.md
"""


def main(root: Path, nodes: Callable[[], Sequence[Any]], arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        root: Folder of the pack.
        nodes: Gives its nodes, once the host is there.
        arguments: Of the command line; None: of the process.
    """
    options, rest = _parser().parse_known_args(arguments)
    if not _device_there():
        rest = [*rest, *(() if "--cpu" in rest else ("--cpu",))]
    try:
        host = _host(options.comfyui, root)
        folder = output_of(options.run[0])
        if folder is not None and "--output-directory" not in rest:
            rest += ["--output-directory", str(folder)]
        with _joined("--cpu" in rest, options.shard_base) as group, _signals(group):
            return _as_process(group, host, rest, nodes, options)
    except (RuntimeError, ValueError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:  # before signals are ours
        return ENDED


def _as_process(
    group: Processes, host: Path, rest: list[str], nodes: Callable[[], Sequence[Any]], options: argparse.Namespace
) -> int:
    if options.encode_only and group.count > 1:
        raise ValueError("encoding is done by one process; start train.py RUN --encode-only without a launcher")
    speak(group.rank, "--verbose" in rest, __name__.partition(".")[0])
    start_host(host, rest)
    for name in options.run:
        run = _agreed(group, name)
        try:
            _train(group, run, nodes, options.encode_only)
        except GraphError as error:
            if error.kind not in NOTHING_MORE:
                if error.kind not in BY_OTHERS:
                    group.end_with(error)
                _say(str(error), group.rank)
                return ENDED if group.ended else 1
        if group.ended:
            return ENDED
    return 0


def _train(group: Processes, run: PortableRun, nodes: Callable[[], Sequence[Any]], encode_only: bool) -> None:
    import torch

    from ..runs.events import FURTHER_SINKS
    from ..services.folders import cache_folder
    from ..services.workflow_metadata import part_of

    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sets = {name: recalled_set(values, cache_folder()) for name, values in run.sets.items()}
    graph = training_graph(run, None if encode_only else sets)
    load_nodes({node["class_type"] for node in graph.values()} - {"FewShotRecordedSet"}, nodes())
    FURTHER_SINKS[:] = [TerminalBar]
    group.only_encodes = encode_only
    with among(group), part_of(run.graph):
        execute(graph, run.node, sets)


def _agreed(group: Processes, text: str) -> PortableRun:
    """The run as process 0 finds it: the others need neither its folder nor its name."""
    if group.rank:
        return PortableRun.of(group.hear()[1])
    run, _ = find_run(text)
    group.tell(RUN, run.to_dict())
    return run


@contextlib.contextmanager
def _joined(cpu: bool, splits: bool) -> Iterator[Processes]:
    from ....training.distributed.group import joined, several

    if not several():
        if splits:
            raise ValueError("--shard-base splits the base over several processes, and this is one; use a launcher")
        yield Processes()
        return
    with joined(cpu, splits) as group:
        yield group


@contextlib.contextmanager
def _signals(group: Processes) -> Iterator[None]:
    """Ctrl-C, and what launchers send, end the run after the step under way; Ctrl-C once more ends the process at once.

    What it writes then is left out: files are written under other names first, and the last checkpoint counts.
    """
    first: list[float] = []

    def end(number: int, _frame: Any) -> None:
        now = time.monotonic()
        if first and number == signal.SIGINT and now - first[0] > IMPATIENT:
            os._exit(ENDED)  # an exception would have the run saved, and told to others, which may not listen
        if not first:
            first.append(now)
            if not group.rank:
                sys.stderr.write("\nthe run ends after the step under way and keeps it\n")
        group.ask_end()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _host(given: str, root: Path) -> Path:
    """Folder of the host: the one that was given, that of the environment, or the one that the pack lies in."""
    candidates = [given, os.environ.get("COMFYUI_PATH", ""), str(root.parents[1])]
    for candidate in filter(None, candidates):
        path = Path(candidate)
        if (path / "comfy").is_dir() and (path / "folder_paths.py").is_file():
            return path.resolve()
    raise ValueError("there is no ComfyUI around this pack; set COMFYUI_PATH to its folder, or give --comfyui")


def _device_there() -> bool:
    import torch

    return bool(torch.accelerator.is_available()) if hasattr(torch, "accelerator") else torch.cuda.is_available()


def _say(text: str, rank: int = 0) -> None:
    sys.stderr.write(f"{f'process {rank}: ' if rank else ''}{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Go on with a training run of the graph outside of it, on more cards or machines.",
        epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", nargs="+", help="name of a run, its folder, or the portable.json in it")
    parser.add_argument("--encode-only", action="store_true", help="fill the cache on one process, and train nothing")
    parser.add_argument("--shard-base", action="store_true", help="split the base over the cards, for one too large")
    parser.add_argument("--comfyui", default="", metavar="FOLDER", help="ComfyUI, where the pack does not lie in it")
    return parser
