"""Make the scripts importable, and keep them away from this machine's own hosts."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
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


@pytest.fixture
def pin(tmp_path):
    """A pin whose hash is that of a small archive."""
    from host_setup.pins import PINS
    from played_index import make_sdist

    sdist = make_sdist(tmp_path / "pkg-1.tar.gz")
    return replace(PINS["0.30.0"], sha256=hashlib.sha256(sdist.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch, pin):  # noqa: ARG001  writes the archive
    """The played package index, in place of the real commands."""
    from host_setup import build as host_build
    from host_setup import source as host_source
    from played_index import Index

    played = Index(tmp_path / "pkg-1.tar.gz")
    monkeypatch.setattr(host_build, "run", played.run)
    monkeypatch.setattr(host_build, "pip", played.pip)
    monkeypatch.setattr(host_source, "pip", played.pip)
    monkeypatch.setattr(host_build, "DISK_BYTES", 0)
    monkeypatch.setattr(host_build, "OVERLAY_DISK_BYTES", 0)
    return played
