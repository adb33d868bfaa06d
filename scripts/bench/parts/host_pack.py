"""Bring ComfyUI and this checkout into one process, for measurements; needs COMFYUI_PATH."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
BEFORE = "before"  # the package of an older commit


def start(threads: int) -> ModuleType:
    """Import the host away from its own folders, then the checkout as package ``pack``.

    Raises:
        SystemExit: COMFYUI_PATH is not set.
    """
    if not os.environ.get("COMFYUI_PATH"):
        raise SystemExit("COMFYUI_PATH is not set; `python scripts/host.py` prints it, export it and try again")
    import torch

    torch.set_num_threads(threads)
    base = tempfile.mkdtemp(prefix="fewshot-bench-")
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    sys.path[:] = [os.environ["COMFYUI_PATH"], *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    device = [] if torch.cuda.is_available() else ["--cpu"]
    arguments, sys.argv = sys.argv, [sys.argv[0], *device, "--base-directory", base, "--log-stdout"]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.cli_args
    finally:
        sys.argv = arguments
    return _imported("pack", ROOT)


def start_before(commit: str) -> None:
    """Import this project as it was at a commit as package ``before``, beside ``pack``; call ``start`` first.

    Raises:
        SystemExit: git does not know the commit.
    """
    folder = Path(tempfile.mkdtemp(prefix="fewshot-before-"))
    atexit.register(_remove_before, folder)
    command = ["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(folder), commit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the commit {commit!r} could not be checked out: {done.stderr.strip()}")
    _imported(BEFORE, folder)


def _remove_before(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "-C", str(ROOT), "worktree", "prune"], capture_output=True, check=False)


def _imported(name: str, folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    return pack


def random_wan(folder: Path, dim: int, layers: int, text_dim: int = 64) -> Path:
    """Write a Wan 2.1 network of the host's class, seeded random weights, for the host's loader."""
    import comfy.ops
    import torch
    from comfy.ldm.wan.model import WanModel
    from safetensors.torch import save_file

    sizes: dict[str, Any] = {
        "dim": dim,
        "ffn_dim": 4 * dim,
        "num_heads": max(1, dim // 64),
        "num_layers": layers,
    }
    sizes |= {"text_dim": text_dim, "freq_dim": 64}
    net = WanModel(
        model_type="t2v",
        in_dim=16,
        out_dim=16,
        cross_attn_norm=True,
        operations=comfy.ops.disable_weight_init,
        dtype=torch.float32,
        device="cpu",
        **sizes,
    )
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in net.named_parameters():
        flat = value.ndim < 2 and "bias" not in name
        state[name] = torch.ones(value.shape) if flat else torch.randn(value.shape, generator=generator) * 0.02
    path = folder / "wan.safetensors"
    save_file(state, path, metadata={"config": json.dumps({"transformer": sizes})})
    return path
