"""What starting and stopping a ComfyUI needs from the operating system."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from host_setup.commands import clean_environment
from host_setup.pins import ROOT, Host, HostError, say

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "node_modules", "runs", "out")


def own_group() -> dict[str, Any]:
    """Arguments of ``Popen`` that keep a Ctrl-C at the terminal from the process: we end it in our own order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def stop(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End a process: ask first, then kill."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def has_accelerator(host: Host) -> bool:
    """Whether the host's own torch can use anything but the CPU on this machine."""
    code = (
        "import torch; a = getattr(torch, 'accelerator', None); "
        "print(bool(a.is_available()) if a else torch.cuda.is_available())"
    )
    result = subprocess.run(
        [str(host.python), "-c", code], capture_output=True, text=True, env=clean_environment(), check=False
    )
    if result.returncode:
        raise HostError(
            f"{host.python} cannot import torch; install ComfyUI's requirements there, or set "
            f"COMFYUI_PYTHON:\n{result.stderr.strip()[-1500:]}"
        )
    return result.stdout.strip().endswith("True")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def place_pack(link: Path) -> None:
    """Put this checkout into ``custom_nodes`` as a link, a junction, or failing both a copy."""
    if os.path.lexists(link) and link.resolve() == ROOT:
        return
    unplace_pack(link)
    try:
        link.symlink_to(ROOT, target_is_directory=True)
        return
    except OSError:
        pass  # Windows asks for a privilege here; a junction needs none
    try:
        import _winapi  # only there on Windows

        _winapi.CreateJunction(str(ROOT), str(link))  # pyright: ignore[reportAttributeAccessIssue]
    except (ImportError, AttributeError, OSError):
        say("links are not possible here; copying the pack instead")
        shutil.copytree(ROOT, link, ignore=LEFT_OUT)


def unplace_pack(link: Path) -> None:
    """Take the pack out of ``custom_nodes`` again without touching the checkout."""
    if link.is_symlink():
        link.unlink()
    elif link.is_dir() and link.resolve() == ROOT:
        link.rmdir()  # a junction: removes the link, not what it leads to
    elif link.is_dir():
        shutil.rmtree(link)
