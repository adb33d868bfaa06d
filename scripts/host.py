"""Provide a real ComfyUI: the installation at hand, or a pinned one built once.

python scripts/host.py                    print COMFYUI_PATH=... and COMFYUI_PYTHON=... as the last lines
python scripts/host.py --version 0.27.0   the oldest supported ComfyUI instead
python scripts/host.py --serve            start it with this pack and print the URL
python scripts/host.py --remove           delete what was built
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from host_setup.build import ensure_built, remove
from host_setup.pins import (
    DEFAULT,
    OLDEST,
    PINS,
    ROOT,
    Host,
    HostError,
    Pin,
    read_version,
    say,
    venv_python,
    version_tuple,
)


def find_or_build(version: str | None = None) -> Host:
    """Return a ComfyUI: the one the user has, else the pinned one, built when it is not there.

    Order: ``COMFYUI_PATH``, the ``ComfyUI/custom_nodes`` this checkout sits in, the user's cache.

    Args:
        version: Only an installation of this version will do; None takes the user's, whatever it is.

    Raises:
        HostError: What was found cannot be used, or nothing could be built.
    """
    if version is not None and version not in PINS:
        raise HostError(f"ComfyUI {version} is not pinned; choose one of {', '.join(PINS)}")
    existing = find_existing()
    if existing and version in (None, existing.version):
        say(f"using ComfyUI {existing.version} in {existing.path}")
        return existing
    if existing:
        say(f"ComfyUI {existing.version} in {existing.path} is not {version}; using the pinned one")
    return ensure_built(PINS[version or DEFAULT])


def find_existing() -> Host | None:
    """The user's own installation, or None.

    Raises:
        HostError: ``COMFYUI_PATH`` is set to something that cannot be used.
    """
    if chosen := os.environ.get("COMFYUI_PATH"):
        path = Path(chosen).expanduser().resolve()
        found = read_version(path)
        if found is None:
            raise HostError(
                f"COMFYUI_PATH is {path}, which holds no ComfyUI (main.py and comfy/); correct it, or unset "
                "it to have one built"
            )
        return _usable(path, found, "or unset COMFYUI_PATH to have one built")
    path = installation_around(ROOT)
    return _usable(path, read_version(path) or "0", "or move this checkout elsewhere") if path else None


def installation_around(checkout: Path) -> Path | None:
    """The ComfyUI whose ``custom_nodes`` holds this checkout, or None."""
    unresolved = Path(os.path.abspath(checkout))  # noqa: PTH100  resolve() would follow a link out of custom_nodes
    if unresolved.parent.name == "custom_nodes" and read_version(unresolved.parents[1]) is not None:
        return unresolved.parents[1]
    return None


def _usable(path: Path, version: str, otherwise: str) -> Host:
    """The installation as a Host, once it is known to be new enough and to have a Python."""
    if version_tuple(version) < version_tuple(OLDEST):
        raise HostError(
            f"the ComfyUI in {path} is version {version}, this pack needs {OLDEST} or newer; update it, {otherwise}"
        )
    return Host(path, find_python(path), version)


def find_python(path: Path) -> Path:
    """Interpreter of an installation: ``COMFYUI_PYTHON``, its venv, the portable one, else this one.

    Raises:
        HostError: ``COMFYUI_PYTHON`` names no file.
    """
    if chosen := os.environ.get("COMFYUI_PYTHON"):
        python = Path(chosen).expanduser()
        if not python.is_file():
            raise HostError(f"COMFYUI_PYTHON is {python}, which is no file; correct it or unset it")
        return python
    candidates = (
        venv_python(path / "venv"),
        venv_python(path / ".venv"),
        path.parent / "python_embeded" / "python.exe",
    )
    return next((python for python in candidates if python.is_file()), Path(sys.executable))


def print_host(host: Host) -> None:
    """Print the two lines that other programs read."""
    print(f"COMFYUI_PATH={host.path}")
    print(f"COMFYUI_PYTHON={host.python}", flush=True)


def remove_built(pins: tuple[Pin, ...]) -> None:
    """Delete the hosts of ``pins``, and those that share their packages, and say which."""
    removed = [version for pin in pins for version in remove(pin)]
    for version in removed:
        say(f"ComfyUI {version}: removed")
    if not removed:
        say("nothing to remove: none was built")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line of this script."""
    description = "Find the ComfyUI at hand, or build a pinned one."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--version", choices=sorted(PINS), help=f"ComfyUI version (default {DEFAULT})")
    parser.add_argument("--serve", action="store_true", help="start it with this pack; Ctrl-C stops it")
    parser.add_argument("--port", type=int, help="port for --serve (default: a free one)")
    parser.add_argument("--remove", action="store_true", help="delete what was built, or the host of --version")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parse_arguments(arguments)
    try:
        if options.remove:
            remove_built((PINS[options.version],) if options.version else tuple(PINS.values()))
            return 0
        host = find_or_build(options.version)
        if options.serve:
            from host_setup.server import serve

            serve(host, options.port, ready=lambda: print_host(host))
        else:
            print_host(host)
    except HostError as error:
        print(f"[host] error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
