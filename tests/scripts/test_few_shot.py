"""The few-shot bench reads its runs back, tells how far its goal is, and draws them."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
sys.path.append(str(BENCH))

import few_shot  # noqa: E402
from parts.ablation_arms import FEW_SHOT  # noqa: E402
from parts.curves import Curve, draw_curves  # noqa: E402


@pytest.fixture
def runs(tmp_path):
    """Finished runs of two arms, two numbers of pairs and two seeds, on disk."""
    for arm, gain in ((FEW_SHOT[0], 0.2), (FEW_SHOT[-1], 0.0)):
        for pairs, share in ((30, 0.6), (3, 0.3)):
            for seed in (0, 1):
                figures = dict.fromkeys(few_shot.FIELDS, 1.0) | {"all_right": share + gain + 0.1 * seed}
                record = {"pairs": pairs, "arm": arm.name, "seed": seed, "figures": figures}
                (tmp_path / f"test {pairs} {arm.name} {seed}.json").write_text(json.dumps(record))
    return tmp_path


def test_runs_are_read_in_the_order_of_pairs_and_arms(runs):
    found = few_shot.read_results(runs, "test")
    assert list(found) == [(n, FEW_SHOT[i].name) for n in (3, 30) for i in (0, -1)]
    assert [one["all_right"] for one in found[30, "TIC-FT"]] == pytest.approx([0.8, 0.9])
    assert few_shot.read_results(runs, "validation") == {}


def test_the_report_has_means_spreads_and_the_goal(runs):
    text = few_shot.report(few_shot.read_results(runs, "test"))
    assert "| 30 pairs, TIC-FT | 2 | 0.85 ± 0.07 | 1.00 ± 0.00 |" in text
    assert "- 30 pairs, TIC-FT: all right 0.85, goal 0.90: missed by 0.05" in text


def test_curves_are_a_picture_with_every_arm_and_point(runs):
    picture = draw_curves(few_shot.curves(few_shot.read_results(runs, "test")), "all right")
    root = ElementTree.fromstring(picture)
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"TIC-FT", "reference tokens (IC-LoRA)", "3", "30"} <= words
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4


def test_higher_shares_are_drawn_higher():
    picture = draw_curves([Curve("one", {3: [0.2], 10: [0.9]})], "share")
    low, high = (float(part.split('"')[0]) for part in picture.split('cy="')[1:])
    assert high < low


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no finished run"):
        draw_curves([], "share")
