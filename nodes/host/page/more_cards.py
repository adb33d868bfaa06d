"""The command that trains a run on more cards, as it is typed on this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ....training.runs.portable import FILE
from ..runs.live_runs import run_folder

PACK = Path(__file__).resolve().parents[3]
FOLDERS = ("base_directory", "output_directory", "input_directory", "user_directory", "models_directory")
LEAST = 2  # processes; of one card nobody asks


def more_cards(run: str) -> dict[str, str]:
    """``title`` and ``command`` for a run, by its id.

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
    return {"title": folder.name, "command": f"cd {quoted(str(PACK))}\n{_command(folder.name)}"}


def _command(name: str) -> str:
    python, count = quoted(sys.executable), max(LEAST, _cards())
    launch = f"{python} -m accelerate.commands.launch --multi_gpu --num_processes {count} train.py {quoted(name)}"
    return " ".join([launch, *(quoted(part) for part in _host_arguments())])


def _cards() -> int:
    import torch

    return torch.cuda.device_count()


def _host_arguments() -> Iterator[str]:
    """What this ComfyUI was started with and the command has to know, too: where models and output lie."""
    from comfy.cli_args import args

    for name in FOLDERS:
        value: Any = getattr(args, name, None)
        if value:
            yield from (f"--{name.replace('_', '-')}", str(value))
    for path in chain(*(args.extra_model_paths_config or ())):
        yield from ("--extra-model-paths-config", str(path))


def quoted(text: str) -> str:
    """A word of a command line; quotes are those of the system's own shell."""
    if sys.platform == "win32":
        return f'"{text}"' if not text.replace("-", "").replace("_", "").replace("\\", "").isalnum() else text
    return shlex.quote(text)
