"""Let the toy training scripts import the host's network classes outside a running host."""

from __future__ import annotations

import os
import sys

import torch


def use_host() -> None:
    """Make ``comfy`` importable from ``COMFYUI_PATH`` and put it on the CPU where there is no GPU.

    Raises:
        RuntimeError: ``COMFYUI_PATH`` is not set.
    """
    path = os.environ.get("COMFYUI_PATH")
    if not path:
        raise RuntimeError("COMFYUI_PATH is not set; `python scripts/host.py` prints it, export it and try again")
    sys.path.insert(0, path)
    argv, sys.argv = sys.argv, [sys.argv[0], *([] if torch.cuda.is_available() else ["--cpu"])]
    import comfy.options  # pyright: ignore[reportMissingImports]

    comfy.options.enable_args_parsing()
    import comfy.cli_args  # pyright: ignore[reportMissingImports]

    sys.argv = argv
