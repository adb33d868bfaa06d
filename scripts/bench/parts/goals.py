"""A bench's goals beside its figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from parts.seed_tables import Rows


@dataclass(frozen=True)
class Goal:
    """A row's figure is to reach a bound."""

    row: str
    field: str
    bound: float

    def told(self, rows: Rows) -> str:
        """Figure, bound and whether it is reached; empty where the row is not there."""
        if self.row not in rows:
            return ""
        mean = statistics.mean(_values(rows, self.row, self.field))
        missed = f"missed by {self.bound - mean:.2f}" if mean < self.bound else "reached"
        return f"{self.row}: {_words(self.field)} {mean:.2f}, goal {self.bound:.2f}: {missed}"


@dataclass(frozen=True)
class Worse:
    """A row's figure is to be worse than another row's, by more than the seeds differ."""

    row: str
    field: str
    than: str
    higher: bool = False  # whether a higher figure is a worse one

    def told(self, rows: Rows) -> str:
        """Both figures and whether the one is worse; empty where a row is not there."""
        if self.row not in rows or self.than not in rows:
            return ""
        own, other = (_values(rows, name, self.field) for name in (self.row, self.than))
        gap = (statistics.mean(own) - statistics.mean(other)) * (1 if self.higher else -1)
        spread = max(statistics.stdev(values) if len(values) > 1 else 0.0 for values in (own, other))
        verdict = "worse" if gap > spread else "within the spread" if gap > -spread else "better"
        figures = f"{statistics.mean(own):.3f} against {statistics.mean(other):.3f} of {self.than}"
        return f"{self.row}: {_words(self.field)} {figures}, to be worse: {verdict}"


def against(rows: Rows, goals: Sequence[Goal | Worse]) -> str:
    """A list with a line for each goal whose rows are there; empty where there are none."""
    lines = [f"- {told}" for goal in goals if (told := goal.told(rows))]
    return "\n".join(["", *lines, ""]) if lines else ""


def _values(rows: Rows, row: str, field: str) -> list[float]:
    return [one[field] for one in rows[row]]


def _words(field: str) -> str:
    return field.replace("_", " ")
