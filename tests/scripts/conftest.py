"""Make the scripts importable, and keep them away from this machine's own hosts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))  # behind all else, so that it hides nothing


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache directory, and no ComfyUI in the environment."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def make_comfyui():
    """A function that writes what looks like a ComfyUI of some version."""

    def make(path: Path, version: str = "0.30.0") -> Path:
        (path / "comfy").mkdir(parents=True)
        (path / "main.py").touch()
        (path / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
        return path

    return make
