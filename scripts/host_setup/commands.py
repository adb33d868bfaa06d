"""Run pip and other commands for the host builder, showing progress and explaining failures."""

from __future__ import annotations

import collections
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from host_setup.pins import HostError, say

SHOWN = ("Collecting", "Downloading", "Using cached", "Building", "Installing", "Successfully", "ERROR")


def pip(python: Path, *arguments: str) -> None:
    """Run the venv's pip."""
    command = [str(python), "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    run(command, "see the lines above, then run the same command again")


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a venv's Python or pip elsewhere."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in dropped}
    kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads that spin starve a busy machine
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def run(command: Sequence[str], advice: str) -> None:
    """Run a command, show its important lines with the time, and explain a failure.

    Raises:
        HostError: It failed; the message holds its last lines and what to do.
    """
    started, tail = time.monotonic(), collections.deque(maxlen=15)
    with (
        tempfile.TemporaryDirectory() as elsewhere,  # the folder it is called from must not be importable
        subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=clean_environment(),
            cwd=elsewhere,
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                if line.lstrip().startswith(SHOWN):
                    say(f"  {time.monotonic() - started:4.0f} s  {line.strip().split(' (from ')[0][:100]}")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise HostError("\n".join((*tail, f"{Path(command[0]).name} failed: {explain(tail) or advice}")))


def explain(lines: Sequence[str]) -> str | None:
    """What to do about a failed command, from what it printed last."""
    text = "\n".join(lines).lower()
    reasons = {
        "no space left": "the disk is full; free about 9 GB or set FEWSHOT_CACHE to another disk",
        "do not match the hashes": "the download is not the pinned file; check your package index",
        "ensurepip": "Python's venv module is incomplete; on Debian or Ubuntu `apt install python3-venv`",
        "name resolution": "the package index cannot be reached; check the network or proxy and try again",
        "getaddrinfo failed": "the package index cannot be reached; check the network or proxy and try again",
        "connection": "the package index cannot be reached; check the network or proxy and try again",
        "timed out": "the package index answers too slowly; try again, finished downloads are kept",
        "no matching distribution": "the package index has no such file; check the network, `pip config "
        "list` and that this Python is 3.10 to 3.14 on a 64-bit machine",
    }
    return next((advice for sign, advice in reasons.items() if sign in text), None)
