"""The figures of a grid as a table that people read, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .grid_cells import Cell

BESIDE = ("frame_consistency", "dynamic_degree", "warping_error")  # shown beside the chosen metric
DIGITS = 6  # behind the decimal point, in JSON


def grid_table(cells: Sequence[Cell], best: Cell, metric: str) -> str:
    """A Markdown table, a row a video, the best one in bold."""
    names = [metric, *(name for name in BESIDE if name != metric and name in (cells[0].scores or {}))]
    lines = ["| prompt | steps | strength | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
    for cell in cells:
        scores = cell.scores or {}
        values = [f"{cell.prompt}", *_place(cell), *(f"{scores[name]:.3f}" for name in names)]
        lines.append("| " + " | ".join(f"**{value}**" if cell is best else value for value in values) + " |")
    return "\n".join(lines)


def grid_scores(cells: Sequence[Cell], best: Cell) -> str:
    """All figures of all videos as JSON: a list in the order of the table."""
    return json.dumps(
        [
            {
                "prompt": cell.prompt,
                "steps": cell.checkpoint.steps if cell.checkpoint else 0,
                "strength": cell.strength,
                "best": cell is best,
                "scores": {name: round(value, DIGITS) for name, value in (cell.scores or {}).items()},
            }
            for cell in cells
        ],
        indent=2,
        allow_nan=False,
    )


def _place(cell: Cell) -> tuple[str, str]:
    return (str(cell.checkpoint.steps), f"{cell.strength:g}") if cell.checkpoint else ("–", "–")
