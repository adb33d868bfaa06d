"""Spare the garbage collector what lives as long as the process: torch, the host and the tests themselves.

Python goes through all objects again and again while these are imported, and at each collection of everything
afterwards, half a second that finds nothing; the host and a run ask for one often.
"""

from __future__ import annotations

import gc
from pathlib import Path


def hold() -> None:
    """Collect nothing until ``let_go``, while nearly all that is made stays."""
    gc.disable()


def let_go() -> None:
    """Collect again what comes from here on; what there is now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def spare_host(base: Path) -> None:
    """Have a ComfyUI that will be started on this folder let go in the same way, when it loads its custom nodes."""
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    text = "import gc\n\ngc.collect()\ngc.freeze()\nNODE_CLASS_MAPPINGS = {}\n"
    (base / "custom_nodes" / "spared.py").write_text(text)
