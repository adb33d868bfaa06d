"""Another front end for a host than the one its requirements bring, kept in the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from host_setup.commands import clean_environment, pip
from host_setup.lock import locked
from host_setup.pins import Host, HostError, cache_directory

PACKAGE = "comfyui-frontend-package"
NEWEST = "1.58.1"  # the newest that the browser tests are known to pass on
CHOSEN = "FEWSHOT_FRONT_END"  # environment variable: the folder of the pages that browser tests use


def newest_on_index(python: Path) -> str:
    """Version of the newest released front end, as the package index tells.

    Raises:
        HostError: The index cannot be asked.
    """
    command = [str(python), "-m", "pip", "index", "versions", PACKAGE, "--disable-pip-version-check"]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    found = re.match(rf"{PACKAGE} \(([^)]+)\)", result.stdout)
    if found is None:
        raise HostError(f"the package index does not tell the versions of {PACKAGE}; name one instead of `newest`")
    return found.group(1)


def provide_front_end(host: Host, version: str) -> Path:
    """Folder of the pages of a released front end; installed at the first call.

    Args:
        host: Whose pip installs it.
        version: Number of the release, or ``newest``.

    Raises:
        HostError: There is no such release, or it cannot be installed.
    """
    number = newest_on_index(host.python) if version == "newest" else version
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)+", number):
        raise HostError(f"{number} is no version of a front end; give one such as {NEWEST}, or `newest`")
    folder = cache_directory() / "front_ends" / number
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / f"{number}.lock"):
        if not folder.is_dir():
            temporary = Path(tempfile.mkdtemp(dir=folder.parent))
            try:
                pip(host.python, "install", "-q", "--no-deps", "--target", str(temporary), f"{PACKAGE}=={number}")
                temporary.replace(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return folder / "comfyui_frontend_package" / "static"


def chosen_front_end() -> tuple[str, ...]:
    """Arguments of the host for the front end that this run of the tests was told to use; none for its own."""
    folder = os.environ.get(CHOSEN)
    return ("--front-end-root", folder) if folder else ()
