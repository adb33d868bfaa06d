"""Benches tell how far their goals are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "bench"))

from parts.goals import Goal, Worse, against

ROWS = {
    "whole": [{"path": 0.90, "flicker": 0.030}, {"path": 0.94, "flicker": 0.032}],
    "part": [{"path": 0.60, "flicker": 0.031}, {"path": 0.62, "flicker": 0.032}],
}


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (Goal("whole", "path", 0.9), "- whole: path 0.92, goal 0.90: reached"),
        (Goal("part", "path", 0.9), "- part: path 0.61, goal 0.90: missed by 0.29"),
        (Worse("part", "path", "whole"), "- part: path 0.610 against 0.920 of whole, to be worse: worse"),
        (Worse("whole", "path", "part"), "- whole: path 0.920 against 0.610 of part, to be worse: better"),
        (
            Worse("part", "flicker", "whole", higher=True),
            "- part: flicker 0.032 against 0.031 of whole, to be worse: within the spread",
        ),
    ],
)
def test_a_goal_is_told_beside_its_figure(goal, told):
    assert against(ROWS, [goal]) == f"\n{told}\n"


def test_rows_that_were_not_run_have_no_goal():
    assert against(ROWS, [Goal("other", "path", 0.9), Worse("part", "path", "other")]) == ""
