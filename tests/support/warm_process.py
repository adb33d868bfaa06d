"""Start a Python script as a process of its own that finds torch imported, as a fork of one that has done so.

What is forked is a child of this process, as if it had been started here: it has its own arguments, environment, folder
and files, can be killed, and ends with a code of its own. ``warm_server.py`` is what forks. Where that cannot be,
because the system has no such thing or there is a GPU, which no fork may use, a Python is started in the ordinary way.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("warm_server.py")
READ_AT_IMPORT = ("PYTHON", "LD_", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "TORCH", "CUDA_")  # how such variables begin
SUBREAPER = 36  # of prctl: to be given the children of a descendant that has ended
ANSWER = 64  # bytes at most
_one_at_a_time = threading.Lock()


class Process(subprocess.Popen):  # type: ignore[type-arg]
    """A script that runs, with all that ``subprocess.Popen`` has; its command begins with this interpreter."""

    forked = False  # or started in the ordinary way

    def _execute_child(
        self, args: Any, *given: Any
    ) -> None:  # whose arguments stand in the same places in 3.10 to 3.14
        command, pid = [os.fspath(part) for part in args], None
        if command[0] == sys.executable and possible():
            cwd, env, pipes, new_session = given[4], given[5], given[9:15], given[20]
            files = [own if file == -1 else file for own, file in enumerate((pipes[0], pipes[3], pipes[5]))]
            place = {"cwd": os.fspath(cwd or Path.cwd()), "session": bool(new_session)}
            pid = fork({"command": command[1:], "env": dict(os.environ if env is None else env), **place}, files)
        if pid is None:
            super()._execute_child(args, *given)
            return
        self.pid, self.forked, self._child_created = pid, True, True
        self._close_pipe_fds(*pipes)


@cache
def possible() -> bool:
    """Whether this system lets a process take over the children of another, and no import can have touched a GPU."""
    if sys.platform != "linux":
        return False
    import torch

    return not torch.cuda.is_available() and take_over(True) and take_over(False)


def take_over(wanted: bool) -> bool:
    """Whether descendants of this process become its children when their own parent ends; False if that cannot be."""
    return ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, int(wanted), 0, 0, 0) == 0


def read_at_import(env: dict[str, str]) -> dict[str, str]:
    """Those variables that Python and torch look at once, when they start."""
    return {name: value for name, value in env.items() if name.startswith(READ_AT_IMPORT)}


@cache
def server() -> tuple[socket.socket, dict[str, str]]:
    """What to ask for forks, and the variables that it was started with."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(theirs.fileno())],
        pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing, stderr=nothing,
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, read_at_import(dict(os.environ))


def fork(asked: dict[str, Any], files: list[int]) -> int | None:
    """Ask for a process with standard input, output and errors; its id, or None if it has to be started otherwise."""
    with _one_at_a_time:
        link, settings = server()
        if read_at_import(asked["env"]) != settings:
            return None
        take_over(True)
        try:
            with contextlib.suppress(OSError):  # there is no server that could fork
                socket.send_fds(link, [json.dumps(asked).encode()], files)
                return int(link.recv(ANSWER) or 0) or None
            return None
        finally:
            take_over(False)
