"""Whatever a text holds, reading it as JSON ends in a value or a ValueError."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pack.training.storage import json_text
from pack.training.storage.json_text import DEPTH, parse_json, read_json

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("depth", [DEPTH + 1, 5_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_and_not_followed(depth, opening, closing):
    with pytest.raises(ValueError, match=f"more than {DEPTH} levels"):
        parse_json(opening * depth + "1" + closing * depth)


def test_what_is_nested_less_deep_is_read():
    assert parse_json("[" * (DEPTH - 1) + "]" * (DEPTH - 1))
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}


def test_a_long_text_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(json_text, "LONGEST", 10)
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(ValueError, match="11 characters of JSON are too many"):
        parse_json("[" + " " * 9 + "]")


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(json_text.LONGEST + 1)  # takes no room on the disk
    monkeypatch.setattr(Path, "read_text", None)
    with pytest.raises(ValueError, match=r"run\.json has \d+ bytes"):
        read_json(path)


def test_numbers_that_json_does_not_know_are_refused_where_asked():
    assert parse_json("[NaN]")
    with pytest.raises(ValueError, match="NaN is no number"):
        parse_json("[NaN]", finite=True)


def test_no_other_module_parses_json_itself():
    files = [path for folder in ("training", "nodes", "methods") for path in (ROOT / folder).rglob("*.py")]
    found = [path.name for path in files if re.search(r"\bjson\.loads?\(", path.read_text(encoding="utf-8"))]
    assert found == ["json_text.py"]
