"""Who may import what (contract: layout, and no network, subprocess or pickle in the pack)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import import_rules
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", import_rules.pack_files(ROOT))
def test_no_file_of_the_pack_breaks_an_import_rule(path):
    assert import_rules.violations(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_all_folders_of_the_pack_are_looked_at():
    found = {path.split("/")[0] for path in import_rules.pack_files(ROOT)}
    assert found == {"__init__.py", "methods", "training", "nodes", "toy"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("methods/tic_ft.py", "import comfy.utils"),
        ("methods/tic_ft.py", "from ..training import loop"),
        ("methods/tic_ft.py", "from .. import nodes"),
        ("methods/tic_ft.py", "import safetensors"),
        ("methods/tic_ft.py", "import diffusers"),
        ("training/core/loop.py", "def f():\n    import folder_paths"),
        ("training/core/loop.py", "from ...nodes.host.services import progress"),
        ("training/core/loop.py", "from ...toy import world"),
        ("training/core/loop.py", "from ....other import thing"),
        ("training/core/loop.py", "from ..runs.monitor import Monitors"),
        ("training/data/clips.py", "def f():\n    from ..tic_ft import layout"),
        ("training/core/loop.py", "import av"),
        ("training/core/loop.py", "import pandas"),
        ("training/data/configs.py", "import yaml"),
        ("nodes/dataset.py", "def f():\n    import yaml"),
        ("training/runs/loss_plot.py", "from PIL import Image"),
        ("methods/metrics.py", "def f():\n    from PIL import Image"),
        ("methods/metrics.py", "def f():\n    from filelock import FileLock"),
        ("training/storage/cache.py", "import pickle"),
        ("training/storage/cache.py", "import torch\ntorch.load('x')"),
        ("training/storage/cache.py", "import torch\ntorch.save({}, 'x')"),
        ("training/storage/cache.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("training/storage/cache.py", "eval('1')"),
        ("training/storage/cache.py", "exec('1')"),
        ("training/storage/cache.py", "import importlib\nimportlib.import_module('socket')"),
        ("toy/world.py", "from ..nodes import toy"),
        ("toy/text.py", "def f():\n    import comfy.ops"),
        ("toy/weights.py", "from . import pretrain"),
        ("toy/weights.py", "from .pretrain.vae import build_vae"),
        ("toy/pretrain/vae.py", "def f():\n    import folder_paths"),
        ("nodes/toy.py", "from ..toy import train_vae"),
        ("toy/train_vae.py", "import subprocess"),
        ("nodes/tic_ft.py", "import comfy.sample"),
        ("nodes/tic_ft.py", "import folder_paths"),
        ("nodes/tic_ft.py", "import server"),
        ("nodes/tic_ft.py", "from comfy_api.internal import thing"),
        ("nodes/tic_ft.py", "from .dataset import FewShotDatasetClip"),
        ("nodes/tic_ft.py", "from . import NODE_MODULES"),
        ("nodes/tic_ft.py", "import nodes"),
        ("nodes/tic_ft.py", "from nodes import KSampler"),
        ("nodes/tic_ft.py", "import scripts.host"),
        ("nodes/tic_ft.py", "import os\nos.system('x')"),
        ("nodes/host/model/encoders.py", "import subprocess"),
        ("nodes/host/model/encoders.py", "from urllib.request import urlopen"),
        ("nodes/host/model/encoders.py", "import requests"),
        ("nodes/host/model/encoders.py", "import nodes"),
        ("nodes/host/model/encoders.py", "def f(model):\n    model.from_pretrained('x')"),
        ("nodes/host/model/encoders.py", "from ...tic_ft import TICFTContext"),
        ("nodes/host/model/encoders.py", "from ..session.session import training_session"),
        ("nodes/host/runs/job.py", "from ..page import routes"),
        ("__init__.py", "from .training import loop"),
        ("nodes/host/runs/job.py", "def f():\n    import accelerate"),
        ("nodes/host/runs/job.py", "from torch import distributed"),
        ("training/core/step.py", "import torch.distributed as dist"),
        ("training/core/step.py", "from ..distributed.group import joined"),
        ("nodes/host/runs/job.py", "from ....training.distributed import group"),
        ("nodes/host/runs/job.py", "def f():\n    from tqdm import tqdm"),
        ("training/distributed/group.py", "import accelerate"),
    ],
)
def test_a_planted_violation_is_caught(path, source):
    assert len(import_rules.violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "methods/flow.py",
            "import math\nimport torch\nfrom einops import rearrange\nfrom .tic_ft import Layout",
        ),
        ("methods/ddpm.py", "def f():\n    from diffusers import DDIMScheduler"),
        (
            "training/core/loop.py",
            "import safetensors.torch\nfrom ...methods import tic_ft\nfrom .config import Config",
        ),
        ("training/data/clips.py", "def f():\n    import av"),
        ("training/runs/lock.py", "def f():\n    from filelock import FileLock"),
        ("training/data/configs.py", "def f():\n    import yaml"),
        ("training/runs/loss_plot.py", "def f():\n    from PIL import Image"),
        ("training/data/clips.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import av"),
        ("training/core/loop.py", "import re\nre.compile('a')\nnetwork.eval()"),
        (
            "nodes/tic_ft.py",
            "from comfy_api.latest import io\nfrom . import sockets\nfrom .host import sampling",
        ),
        (
            "nodes/tic_ft.py",
            "from .sockets import Dataset\nfrom ..training import loop\nfrom ..toy import world",
        ),
        ("nodes/host/sampling/wrappers.py", "import comfy.samplers\nimport folder_paths\nfrom ..model import families"),
        ("nodes/__init__.py", "import importlib\nimportlib.import_module('.toy', __name__)"),
        ("toy/pretrain/vae.py", "from ..world import SIZE\ndef f():\n    import comfy.ops"),
        ("__init__.py", "def f():\n    from .nodes import build_extension"),
        ("training/distributed/group.py", "from torch import distributed\ndef f():\n    import accelerate"),
        ("training/core/step.py", "from ..distributed.processes import processes"),
        ("nodes/host/launch/command.py", "def f():\n    from ....training.distributed.group import joined"),
    ],
)
def test_what_is_allowed_passes(path, source):
    assert import_rules.violations(path, source) == []


def test_no_files_import_each_other_in_a_circle():
    assert import_rules.circles(ROOT) == []


def test_a_circle_is_found():
    assert import_rules.strongly_connected({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_every_file_lies_in_a_room():
    for folder, rooms in import_rules.ROOMS.items():
        place = ROOT.joinpath(*folder)
        assert {path.name for path in place.iterdir() if path.is_dir()} - {"__pycache__"} == set(rooms)
        assert [path.name for path in place.glob("*.py")] == ["__init__.py"]


def test_importing_the_pack_imports_nothing_of_it_and_no_library():
    code = (
        "import importlib.util, sys; before = set(sys.modules);"
        f"spec = importlib.util.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r});"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec));"
        "print(*sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
