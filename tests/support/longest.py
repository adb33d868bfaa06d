"""Which files of tests come first where several processes share them, so that none is left alone with one at the end.

pytest-xdist begins with the files that have the most tests, and a file of one test may take a minute. Only what is
shared out file by file is sorted; the order within a file stays, and so does one that ``--shuffle`` draws.
"""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (  # from the longest on, down to some ten seconds; the others follow as pytest finds them
    "nodes/workflows/test_run.py",
    "distributed/test_command.py",
    "nodes/workflows/test_structure.py",
    "nodes/plan/test_plan.py",
    "nodes/layers/test_quantised_training.py",
    "nodes/plan/test_methods.py",
    "distributed/test_machines.py",
    "nodes/session/test_step_size.py",
    "nodes/sampling/test_families.py",
    "nodes/layers/test_compiled.py",
    "nodes/runs/test_fitting.py",
    "fuzz/test_nodes.py",
    "nodes/session/test_on_a_card.py",
    "nodes/trainers/test_family_training.py",
    "nodes/model/test_toy.py",
    "nodes/runs/test_killed.py",
    "scripts/test_clips_bench.py",
    "distributed/test_engine.py",
    "training/data/media/test_colour.py",
    "distributed/test_splitting.py",
    "toy/test_looks.py",
)
TESTS = Path(__file__).parents[1]


def place(path: Path) -> int:
    """Where a file comes: before all with a higher number."""
    name = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def sort(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first in a process that shares the tests with others."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.path))


def keep_order(config: pytest.Config) -> None:
    """Have pytest-xdist, where it is, take the files as they come."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
