"""Settings of runs side by side: what differs first, no path and no more than asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pack.nodes.host.page import comparison as module
from pack.nodes.host.page.comparison import compare


@pytest.fixture
def runs(tmp_path, monkeypatch) -> dict[str, Path]:
    folders = {}
    for name, rank, clips in (("a", 16, "0" * 64), ("b", 32, "1" * 64), ("c", 16, "0" * 64)):
        folders[name] = tmp_path / f"run {name}"
        folders[name].mkdir()
        record = {
            "state": "finished",
            "step": 40,
            "config": {"rank": rank, "learning_rate": 1e-4, "betas": [0.9, 0.99]},
        }
        record["identity"] = {"method": "tic_ft", "training clips": clips, "model file": "/somewhere/model.safetensors"}
        (folders[name] / "run.json").write_text(json.dumps(record))
    monkeypatch.setattr(module, "run_folder", folders.get)
    monkeypatch.setattr(module, "run_table", lambda _run: {"state": "finished", "smoothed": 0.123456, "curve": []})
    return folders


@pytest.mark.usefixtures("runs")
def test_what_differs_comes_first():
    found = compare(["a", "b"])
    assert found["runs"] == ["run a", "run b"]
    differing = {row["name"]: row["values"] for row in found["rows"] if row["differ"]}
    assert differing == {"rank": ["16", "32"], "training clips": ["00000000", "11111111"]}
    assert [row["differ"] for row in found["rows"]] == sorted((row["differ"] for row in found["rows"]), reverse=True)
    same = {row["name"]: row["values"] for row in found["rows"] if not row["differ"]}
    assert same["betas"] == ["0.9, 0.99"] * 2
    assert same["learning_rate"] == ["0.0001"] * 2


@pytest.mark.usefixtures("runs")
def test_how_far_each_came_is_no_setting():
    found = compare(["a", "b"])
    assert [set(one) for one in found["outcomes"]] == [set(module.OUTCOME)] * 2  # and no curves
    assert found["outcomes"][0]["smoothed"] == 0.123456
    assert found["outcomes"][0]["peak_memory"] is None
    assert not {row["name"] for row in found["rows"]} & (set(module.OUTCOME) - {"steps"})


@pytest.mark.usefixtures("runs")
def test_nothing_differs_between_two_of_a_kind_and_no_path_is_told():
    found = compare(["a", "c"])
    assert not any(row["differ"] for row in found["rows"])
    assert "somewhere" not in json.dumps(found)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("ids", [[], ["a"], ["a"] * 7, ["a", "none"]])
def test_what_cannot_be_compared_is_refused_in_a_sentence(ids):
    with pytest.raises(ValueError, match="; "):
        compare(ids)


def test_a_record_that_cannot_be_read_is_named(runs):
    (runs["b"] / "run.json").write_text("{")
    with pytest.raises(ValueError, match="the record of the run run b cannot be read"):
        compare(["a", "b"])
