"""Start a ComfyUI with this pack in place, talk to it over HTTP, and always stop it again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from host_setup.client import Client
from host_setup.commands import clean_environment
from host_setup.patience import patience
from host_setup.pins import PACK_NAME, Host, HostError, cache_directory, say
from host_setup.process import free_port, has_accelerator, own_group, place_pack, stop, unplace_pack

FOLDERS = ("custom_nodes", "models/loras", "input", "output", "temp", "user/default/workflows")


class Server(Client):
    """A running ComfyUI on a free port of this machine; use it in a ``with`` statement.

    Args:
        host: What to start, from ``find_or_build``.
        base: Folder for models, input, output and user files; None takes a temporary one and deletes it.
        port: None takes a free one.
        cpu: None asks the host's torch whether there is an accelerator.
        log: File descriptor for the host's output; None writes ``host.log`` in ``base``.
        arguments: Further command line arguments of the host.
    """

    def __init__(
        self,
        host: Host,
        base: Path | None = None,
        port: int | None = None,
        cpu: bool | None = None,
        log: int | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        super().__init__("")  # known once the port is
        self.host, self.cpu, self.arguments = host, cpu, arguments
        self.temporary = base is None
        self.base = base or Path(tempfile.mkdtemp(prefix="fewshot-host-"))
        self.port = port
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.old_handler: Any = None

    @property
    def output(self) -> Path:
        """Folder the host writes results to."""
        return self.base / "output"

    def __enter__(self) -> Server:
        self._catch_termination()
        try:
            for name in FOLDERS:
                (self.base / name).mkdir(parents=True, exist_ok=True)
            place_pack(self.base / "custom_nodes" / PACK_NAME)
            if self.cpu is None:
                self.cpu = not has_accelerator(self.host)
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _catch_termination(self) -> None:
        """Turn a polite kill of this process into an exit that stops the host on its way."""
        if threading.current_thread() is threading.main_thread():
            self.old_handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def _command(self) -> list[str]:
        """Command line of the host."""
        return [
            str(self.host.python),
            "main.py",
            *(["--cpu"] if self.cpu else []),
            *("--listen", "127.0.0.1", "--port", str(self.port)),
            *("--base-directory", str(self.base), "--database-url", "sqlite:///:memory:"),
            "--disable-api-nodes",
            *self.arguments,
        ]

    def _start(self) -> None:
        """Start the host and wait until it answers; a free port may be taken meanwhile, so try thrice."""
        attempts = 3 if self.port is None else 1
        for attempt in range(attempts):
            self.port = free_port() if attempts > 1 else self.port
            self.url = f"http://127.0.0.1:{self.port}"
            self._launch()
            try:
                self._wait_until_up()
            except HostError as error:
                if attempt + 1 == attempts or "address already in use" not in str(error).lower():
                    raise
            else:
                break

    def _launch(self) -> None:
        """Start the host's process."""
        with (self.base / "host.log").open("wb") as file:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.host.path,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file if self.log is None else self.log,
                stderr=subprocess.STDOUT,
                **own_group(),
            )

    def _wait_until_up(self) -> None:
        """Wait for the first answer.

        Raises:
            HostError: The host ended, or did not answer in time; its last lines are in the message.
        """
        timeout = patience(300.0)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(OSError, ValueError):
                self.get("/system_stats", timeout=5)
                return
            time.sleep(0.25)
        raise HostError(f"ComfyUI did not answer on {self.url} within {timeout:.0f} s:\n{self.log_tail()}")

    def check_alive(self) -> None:
        """Raise HostError, with the host's last lines, when its process has ended."""
        if self.process is None or self.process.poll() is not None:
            code = None if self.process is None else self.process.returncode
            raise HostError(f"ComfyUI has ended (exit code {code}):\n{self.log_tail()}")

    def log_tail(self, lines: int = 30) -> str:
        """Last lines the host printed; empty when its output goes elsewhere."""
        with contextlib.suppress(OSError):
            text = (self.base / "host.log").read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def close(self) -> None:
        """Stop the host and delete the temporary folder; safe to call twice."""
        if self.process is not None:
            stop(self.process)
            self.process = None
        if self.old_handler is not None:
            signal.signal(signal.SIGTERM, self.old_handler)
            self.old_handler = None
        if self.temporary:
            unplace_pack(self.base / "custom_nodes" / PACK_NAME)
            shutil.rmtree(self.base, ignore_errors=True)


def serve(host: Host, port: int | None, ready: Callable[[], None]) -> None:
    """Run the host with this pack until Ctrl-C; models and results stay in the cache directory.

    Args:
        host: What to start.
        port: None takes a free one.
        ready: Called once the URL is printed.
    """
    base = cache_directory() / "serve" / host.version
    with Server(host, base=base, port=port, log=sys.stderr.fileno()) as server:
        say(f"results are written to {server.output}")
        print(f"ComfyUI {host.version} with FewShot Video: {server.url}  (Ctrl-C stops it)", flush=True)
        ready()
        if server.process is not None:
            server.process.wait()
    say("ComfyUI has ended")
