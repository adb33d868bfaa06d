"""Which ComfyUI this is, and whether the pack supports it."""

from __future__ import annotations

import re

OLDEST = (0, 27, 0)


def host_version() -> str:
    """Version of the running ComfyUI, such as ``0.30.0``; ``unknown`` when it does not say."""
    try:
        from comfyui_version import __version__  # pyright: ignore[reportMissingImports]
    except ImportError:
        return "unknown"
    return str(__version__)


def is_supported(version: str) -> bool:
    """Whether ``version`` is 0.27.0 or newer; a version without numbers is not."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return match is not None and tuple(int(part or 0) for part in match.groups()) >= OLDEST
