"""Train a run of the graph outside of it: ``accelerate launch train.py RUN``, see docs/more_cards.md."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

ROOT, PACK = Path(__file__).resolve().parent, "fewshot_video"


def load_pack() -> None:
    """Import this folder as a package, whatever it is called; its ``nodes`` must not hide the host's."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    spec = importlib.util.spec_from_file_location(PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} is no package")
    sys.modules[PACK] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PACK])


def run() -> int:
    """Train; returns the exit code."""
    load_pack()
    command = importlib.import_module(f"{PACK}.nodes.host.launch.command")
    return command.main(ROOT, lambda: importlib.import_module(f"{PACK}.nodes").node_list())


if __name__ == "__main__":
    code = run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch would wait for processes that are lost
