"""What the benches of several arms share: which arms run, and that a finished one is kept and only used as it was."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "bench"))

from parts.arms import Record, add_adapter_options, arm_parser, chosen, read_figures, read_rows


@dataclass(frozen=True)
class Arm:
    name: str


ARMS, MORE = (Arm("one"), Arm("two")), (Arm("rare"),)


def options_of(*arguments: str):
    parser = arm_parser("a bench", ARMS, "everything", "somewhere", more=MORE)
    add_adapter_options(parser, batch=4, cfg=2.0)
    return parser.parse_args(arguments)


def test_arms_run_in_their_own_order_and_rare_ones_by_name() -> None:
    assert list(chosen((*ARMS, *MORE), options_of())) == list(ARMS)
    assert list(chosen((*ARMS, *MORE), options_of("--arms", "rare", "one"))) == [Arm("one"), Arm("rare")]


def test_finished_arms_are_read_back(tmp_path: Path) -> None:
    options = options_of()
    for arm in reversed(ARMS):
        for seed in (0, 1):
            record = Record(tmp_path / f"{arm.name} {seed}.json", options, ("rank", "cfg"), base="x")
            assert not record.finished
            row = {"value": seed + 0.5}
            record.keep(seed=seed, rows={f"{arm.name}, whole": row}, figures=row)
    assert Record(tmp_path / "one 0.json", options, ("rank", "cfg"), base="x").finished
    values = [{"value": 0.5}, {"value": 1.5}]
    assert read_rows(tmp_path, ARMS) == {"one, whole": values, "two, whole": values}
    assert list(read_rows(tmp_path, ARMS)) == ["one, whole", "two, whole"]
    assert read_figures(tmp_path, ARMS, [1]) == {"one": values[1:], "two": values[1:]}


def test_an_arm_with_other_settings_is_refused(tmp_path: Path) -> None:
    Record(tmp_path / "one 0.json", options_of(), ("rank",)).keep(figures={})
    with pytest.raises(SystemExit, match="made with other settings"):
        Record(tmp_path / "one 0.json", options_of("--rank", "4"), ("rank",))
