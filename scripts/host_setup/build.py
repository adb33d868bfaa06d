"""Build the pinned ComfyUI once into the user's cache directory, or remove it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from host_setup.commands import pip, run
from host_setup.lock import locked
from host_setup.patience import patience
from host_setup.pins import (
    DEV_TOOLS,
    DISK_BYTES,
    OVERLAY_DISK_BYTES,
    PINS,
    PYTHONS,
    ROOT,
    TORCH,
    Host,
    HostError,
    Pin,
    cache_directory,
    say,
    site_packages,
    venv_python,
)
from host_setup.source import download, extract_comfyui

MARKER = "complete.json"  # written last; a folder without it is half built and never used


def host_directory(pin: Pin) -> Path:
    """Where the host of ``pin`` lives once it is built."""
    return cache_directory() / "hosts" / pin.key


def lock_file(pin: Pin) -> Path:
    """Lock that every builder and remover of ``pin`` takes."""
    return cache_directory() / "hosts" / f"{pin.key}.lock"


def extras_key() -> str:
    """Content of what is installed besides ComfyUI's own requirements."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8") + "\n".join(DEV_TOOLS)
    return hashlib.sha256(text.encode()).hexdigest()


def read_marker(pin: Pin) -> dict[str, str] | None:
    """The marker of a completely built host, or None when there is none that works."""
    folder = host_directory(pin)
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    usable = (folder / "ComfyUI" / "main.py").is_file() and python_runs(venv_python(folder / "venv"))
    return marker if usable and lies_on_its_base(pin, marker) else None


def lies_on_its_base(pin: Pin, marker: dict[str, str]) -> bool:
    """Whether the host below still is the very build that ``marker`` was written for."""
    if pin.base is None:
        return True
    below = read_marker(pin.base)
    return below is not None and marker.get("base") == below.get("build")


def is_current(marker: dict[str, str] | None) -> bool:
    """Whether a built host also has the packages this checkout asks for."""
    return marker is not None and "build" in marker and marker.get("extras") == extras_key()


def python_runs(python: Path) -> bool:
    """Whether the interpreter still starts; a venv dies with the Python it was made from."""
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, timeout=patience(60.0)).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def ensure_built(pin: Pin) -> Host:
    """Return the built host of ``pin``; build it, or bring its packages up to date, when needed.

    A host that shares another's packages has that one built first.

    Raises:
        HostError: It cannot be built; the message says what to do.
    """
    folder = host_directory(pin)
    host = Host(folder / "ComfyUI", venv_python(folder / "venv"), pin.comfyui)
    if is_current(read_marker(pin)):
        return host
    with locked(lock_file(pin)):  # the upper host's lock before the lower one's, as in remove()
        if pin.base:
            ensure_built(pin.base)
        marker = read_marker(pin)  # another builder may have finished while we waited
        if marker is None:
            _build(pin, folder)
        elif not is_current(marker):
            _install_extras(pin, folder)
    return host


def remove(pin: Pin) -> list[str]:
    """Delete the built host of ``pin``, before it those that share its packages; returns their versions.

    Raises:
        HostError: A file cannot be deleted, for example because the host is running.
    """
    above = (other for other in PINS.values() if other.base == pin)
    folders = {other: host_directory(other) for other in (*above, pin)}
    removed: list[str] = []
    if not any(folder.exists() for folder in folders.values()):
        return removed
    with contextlib.ExitStack() as locks:  # all are held to the end: nobody builds on what is being deleted
        for other, folder in folders.items():
            locks.enter_context(locked(lock_file(other)))
            if folder.exists():
                delete(folder)
                removed.append(other.comfyui)
    return removed


def delete(folder: Path) -> None:
    """Delete ``folder``, its marker first: an interrupted deletion must look half built."""
    try:
        (folder / MARKER).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise HostError(f"cannot delete {folder}: {error}; stop what uses it and try again") from error


def _build(pin: Pin, folder: Path) -> None:
    """Build in place (a venv cannot be moved) and write the marker last."""
    started = time.monotonic()
    if pin.base is None:  # an overlay has the Python of its base
        check_python(sys.version_info[:2])
    if folder.exists():
        say("a half-built host, or one whose base has gone, is there; removing it and starting again")
        delete(folder)
    check_disk(folder, OVERLAY_DISK_BYTES if pin.base else DISK_BYTES)
    cost = "about 250 MB and a minute" if pin.base else "about 7 GB and 2 to 10 minutes"
    say(f"building ComfyUI {pin.comfyui} in {folder} (once; {cost})")
    try:
        folder.mkdir(parents=True)
        python = make_overlay(pin.base, folder / "venv") if pin.base else _make_venv(folder / "venv")
        say("2/5 ComfyUI's source")
        sdist = download(pin, python, folder / "download")
        say("3/5 unpacking")
        extract_comfyui(sdist, folder / "ComfyUI")
        shutil.rmtree(folder / "download")
        say("4/5 torch and ComfyUI's requirements")
        requirements = folder / "ComfyUI" / "requirements.txt"
        pip(python, "install", "-r", str(requirements), *TORCH)
        _install_extras(pin, folder)
    except OSError as error:
        delete(folder)
        raise HostError(f"{error}; free some disk space or choose a folder with FEWSHOT_CACHE") from error
    except BaseException:
        delete(folder)
        raise
    say(f"ComfyUI {pin.comfyui} is ready after {time.monotonic() - started:.0f} s")


def _make_venv(venv: Path) -> Path:
    """Create the virtual environment and return its interpreter."""
    say(f"1/5 virtual environment with Python {sys.version.split()[0]}")
    advice = "on Debian and Ubuntu run `apt install python3-venv`; elsewhere install Python from python.org"
    run([sys.executable, "-m", "venv", str(venv)], advice)
    return venv_python(venv)


def make_overlay(base: Pin, venv: Path) -> Path:
    """Create a virtual environment that sees the packages of ``base`` behind its own; returns its interpreter.

    pip is one of those packages. It takes what fits from below and installs the rest on top, as it does with
    the packages of the system; what lies below is never changed.
    """
    below = host_directory(base) / "venv"
    say(f"1/5 virtual environment on that of ComfyUI {base.comfyui}")
    run([str(venv_python(below)), "-m", "venv", "--without-pip", str(venv)], "see the lines above")
    packages = site_packages(venv)
    line = os.path.relpath(site_packages(below), packages)  # relative, so that the cache may be moved
    (packages / "base.pth").write_text(f"{line}\n", encoding="utf-8")
    return venv_python(venv)


def _install_extras(pin: Pin, folder: Path) -> None:
    """Install the pack's requirements and the developer tools, then write the marker."""
    say("5/5 the pack's requirements and the test tools")
    # torch is named again so that no requirement of ours can ever replace it
    pip(venv_python(folder / "venv"), "install", "-r", str(ROOT / "requirements.txt"), *DEV_TOOLS, *TORCH)
    build = (read_marker(pin) or {}).get("build") or uuid.uuid4().hex  # stays when only packages are added
    marker = {"comfyui": pin.comfyui, "sha256": pin.sha256, "extras": extras_key(), "build": build}
    if pin.base:
        marker["base"] = (read_marker(pin.base) or {}).get("build", "")
    temporary = folder / f"{MARKER}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(marker, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MARKER)


def check_python(version: Sequence[int]) -> None:
    """Refuse a Python that torch has no wheels for.

    Raises:
        HostError: Too old or too new.
    """
    first, last = PYTHONS
    if not first <= tuple(version) <= last:
        came, low, high = (".".join(map(str, v)) for v in (version, first, last))
        raise HostError(f"this is Python {came}; run the script with Python {low} to {high} instead")


def check_disk(folder: Path, needed: int) -> None:
    """Refuse to start a build that cannot fit.

    Raises:
        HostError: Fewer than ``needed`` bytes are free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HostError(
            f"{folder} has {free / 1e9:.1f} GB free, about {needed / 1e9:.0f} GB are needed; free some "
            "or set FEWSHOT_CACHE to a folder on another disk"
        )
