"""The command that trains a run on more cards, as it is typed on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ....training.runs.portable import FILE
from ..runs.live_runs import run_folder
from .terminals import Typed, in_posix, in_windows

PACK = Path(__file__).resolve().parents[3]
FOLDERS = ("base_directory", "output_directory", "input_directory", "user_directory", "models_directory")
LEAST = 2  # processes; of one card nobody asks


def more_cards(run: str) -> dict[str, str]:
    """``title`` and ``command`` for a run, by its id, and the ``shell`` that alone takes it; empty: each of the system.

    Raises:
        ValueError: there is no such run, or its folder does not say how it is trained.
    """
    folder = run_folder(run)
    if folder is None:
        raise ValueError("there is no such run; reload the page")
    if not (folder / FILE).is_file():
        raise ValueError(
            f"the run {folder.name} does not say how it is trained, because it is of an older version, or ComfyUI was "
            "started with --disable-metadata; queue its Train node once more without that"
        )
    typed = _typed(folder.name)
    return {"title": folder.name, "command": typed.command, "shell": typed.shell}


def _typed(name: str) -> Typed:
    options = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(max(LEAST, _cards()))]
    write = in_windows if sys.platform == "win32" else in_posix
    return write(sys.executable, options, str(PACK / "train.py"), [name, *_host_arguments()])


def _cards() -> int:
    import torch

    return torch.cuda.device_count()


def _host_arguments() -> Iterator[str]:
    """What this ComfyUI was started with and the command has to know, too: where models and output lie.

    Paths are absolute: the command runs in another folder than ComfyUI.
    """
    import folder_paths
    from comfy.cli_args import args

    host = Path(folder_paths.__file__).resolve().parent
    if host != PACK.parents[1]:  # where the command looks for it by itself
        yield from ("--comfyui", str(host))
    for name in FOLDERS:
        value: Any = getattr(args, name, None)
        if value:
            yield from (f"--{name.replace('_', '-')}", str(Path(value).absolute()))
    for path in chain(*(args.extra_model_paths_config or ())):
        yield from ("--extra-model-paths-config", str(Path(path).absolute()))
