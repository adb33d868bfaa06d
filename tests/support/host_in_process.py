"""Bring a real ComfyUI into the test process, on the CPU where there is no GPU, away from its own folders."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

REASON = "needs a real ComfyUI: run `python scripts/test.py`, or set COMFYUI_PATH"
FOLDERS = ("models/loras", "custom_nodes", "input", "output", "temp", "user")


def is_set() -> bool:
    """Whether the environment names a ComfyUI."""
    return bool(os.environ.get("COMFYUI_PATH"))


@cache
def start() -> Path:
    """Make ``comfy`` and ``comfy_api`` importable; returns the temporary folder all host paths lie in."""
    import torch

    base = Path(tempfile.mkdtemp(prefix="fewshot-tests-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    for name in FOLDERS:
        (base / name).mkdir(parents=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    device = [] if torch.cuda.is_available() else ["--cpu"]
    places = ["--base-directory", str(base), "--database-url", "sqlite:///:memory:"]
    arguments, sys.argv = sys.argv, [sys.argv[0], *device, *places, "--disable-api-nodes"]
    try:  # the host reads the command line while it is imported
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.cli_args
        import folder_paths
    finally:
        sys.argv = arguments
    assert comfy.cli_args.args.base_directory == str(base)
    assert Path(folder_paths.get_output_directory()).parent == base
    return base
