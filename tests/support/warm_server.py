"""Import torch and what else takes long, and fork for whoever asks; see ``warm_process.py``.

    python tests/support/warm_server.py DESCRIPTOR

reads requests from a socket. It imports none of the modules of the host or of the pack: what these look at when they
are imported, the command line and the environment, is each process's own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

# What the host and the pack import of others, in a training.
PACKAGES = (
    "torch", "torch._dynamo", "torch.distributed.fsdp", "safetensors.torch", "accelerate", "einops", "av", "torchsde",
    "torchvision", "torchaudio", "comfy_kitchen", "scipy.integrate", "scipy.optimize", "scipy.ndimage", "transformers",
    "transformers.models.clip.modeling_clip", "diffusers", "diffusers.models.unets.unet_1d_blocks",
)  # fmt: skip
LONGEST = 1 << 20  # bytes of a request


def import_all() -> None:
    """Import what there is of the packages; nothing of it is garbage."""
    gc.disable()
    for name in PACKAGES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()


def serve(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork at each request. Returns in each process that was forked, with the request and its files, and at the end."""
    while True:
        message, files, _, _ = socket.recv_fds(link, LONGEST, 3)
        if not message:
            return None
        read, write = os.pipe()
        between = os.fork()
        if not between:  # it ends at once, so that its child goes to the process that asked
            parent = os.getpid()
            pid = os.fork()
            if not pid:
                while os.getppid() == parent:
                    time.sleep(0.001)
                os.close(read)
                os.close(write)
                return json.loads(message), files
            os.write(write, str(pid).encode())
            os._exit(0)
        os.waitpid(between, 0)
        link.send(os.read(read, 64))
        for file in (read, write, *files):
            os.close(file)


def become(asked: dict[str, Any], files: list[int]) -> None:
    """Take on what a process has of its own."""
    if asked["session"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # as at its import; Python's own stream and its temporary names do so alone
    sys.argv = list(asked["command"])
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)


if __name__ == "__main__":
    link = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the processes; this one ends with who asks
    import_all()
    alone = len(list(Path("/proc/self/task").iterdir())) == 1  # a fork has none of the other threads
    request = serve(link) if alone else None
    link.close()
    if request:
        become(*request)
        main = types.ModuleType("__main__")
        main.__file__ = sys.argv[0]
        sys.modules["__main__"] = main
        exec(compile(Path(sys.argv[0]).read_bytes(), sys.argv[0], "exec"), vars(main))
