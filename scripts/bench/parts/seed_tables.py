"""Figures of several seeds as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

Rows = Mapping[str, Sequence[Mapping[str, float]]]  # of each arm, one entry a seed


def seed_table(rows: Rows, names: Sequence[str], small: bool = False) -> str:
    """One line an arm, mean and standard deviation over the seeds; ``small`` gives values below 0.1 a place more."""
    lines = ["| arm | seeds | " + " | ".join(name.replace("_", " ") for name in names) + " |"]
    lines.append("|---|---|" + "---|" * len(names))
    for row, found in rows.items():
        cells = (_cell([one[name] for one in found], small) for name in names)
        lines.append(f"| {row} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float], small: bool) -> str:
    places = 3 if small and max(values) < 0.1 else 2
    spread = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{places}f}{spread}"
