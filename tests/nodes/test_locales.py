"""The texts of the page are those of the schemas, so nobody sees an old tooltip."""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path

import pytest

from pack import nodes

SCRIPTS = Path(__file__).parents[2] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))

import translate  # noqa: E402
from workflow_files.schema import read_inputs  # noqa: E402

import locales  # noqa: E402

SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_NODE_INFO_V1() for node in nodes.node_list()}
WRITTEN = locales.build(SCHEMAS)


def differences(written: locales.Texts, read: locales.Texts) -> list[str]:
    """Keys below which two contents are not the same."""
    return sorted(key for key in {*written, *read} if written.get(key) != read.get(key))


def read(name: str) -> locales.Texts:
    """A file of the English texts."""
    return json.loads((locales.FOLDER / locales.SOURCE / name).read_text(encoding="utf-8"))


def test_every_node_of_the_menu_has_its_texts_and_no_other_node():
    assert set(read("nodeDefs.json")) == set(SCHEMAS), "run python scripts/locales.py"


@pytest.mark.parametrize("name", WRITTEN)
def test_the_texts_are_those_of_the_schemas(name):
    assert differences(WRITTEN[name], read(name)) == [], "run python scripts/locales.py"


def test_every_socket_has_its_texts():
    for node_id, schema in SCHEMAS.items():
        texts = read("nodeDefs.json")[node_id]
        inputs = {locales.as_key(name) for part in ("required", "optional") for name in schema["input"].get(part, {})}
        assert set(texts["inputs"]) == inputs
        assert list(texts["outputs"]) == [str(number) for number in range(len(schema["output"]))]


@pytest.mark.parametrize("language", translate.LANGUAGES)
def test_a_tooltip_cites_the_values_of_its_input_as_they_are_in_every_language(language):
    table, wrong = translate.read_table(language), {}
    for schema in SCHEMAS.values():
        for entry in read_inputs(schema):
            tooltip, values = entry.options.get("tooltip") or "", entry.choices or ()
            cited = [value for value in values if re.search(rf"(?:^|[.;] ){re.escape(str(value))}(?::| \d)", tooltip)]
            if lost := [value for value in cited if value not in table[tooltip]]:
                wrong[tooltip] = lost
    assert wrong == {}


@pytest.mark.parametrize("change", ["tooltip", "name"])
def test_a_stale_text_is_noticed(change):
    schemas = copy.deepcopy(SCHEMAS)
    schemas["TICFTCrop"]["input"]["required"]["keep"][1]["display_name" if change == "name" else change] = "another"
    assert differences(locales.build(schemas)["nodeDefs.json"], WRITTEN["nodeDefs.json"]) == ["TICFTCrop"]


def test_nodes_of_others_are_left_out():
    other = {**SCHEMAS["TICFTCrop"], "category": "image/video"}
    assert locales.build({"Other": other})["nodeDefs.json"] == {}


def test_checking_tells_stale_files_and_writes_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locales, "FOLDER", tmp_path)
    assert locales.check(WRITTEN) == len(WRITTEN)
    assert "nodeDefs.json is out of date" in capsys.readouterr().err
    locales.write(WRITTEN)
    assert locales.check(WRITTEN) == 0
