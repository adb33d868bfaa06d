"""What can be said of the blueprints without a host."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import workflow_checks as workflows
from workflow_files.blocks.blueprints import all_blueprints

BLOCKS = {block.title: block for block in all_blueprints()}
every_block = pytest.mark.parametrize("name", sorted(BLOCKS))
MOST = 14  # inputs outside: a person reads them


def load(name: str) -> dict[str, Any]:
    return json.loads((workflows.BLUEPRINTS / f"{name}.json").read_text(encoding="utf-8"))


def test_there_is_one_of_every_method():
    assert {path.stem for path in workflows.BLUEPRINTS.glob("*")} == set(BLOCKS)
    assert len(BLOCKS) == 5
    for method in ("TIC-FT", "One-shot motion", "AICL", "Tune-A-Video"):
        assert any(name.startswith(method) for name in BLOCKS)


@every_block
def test_the_file_is_a_workflow_of_one_node_which_is_the_block(name):
    file = load(name)
    (node,), (block,) = file["nodes"], file["definitions"]["subgraphs"]
    assert node["type"] == block["id"]
    assert node.get("title", name) == block["name"] == name  # the front end shows the file's name
    assert (file["version"], file["links"]) == (0.4, [])
    assert file["extra"]["BlueprintDescription"] == block["description"]


@every_block
def test_its_node_has_the_inputs_and_outputs_of_what_is_inside(name):
    file = load(name)
    (node,), (block,) = file["nodes"], file["definitions"]["subgraphs"]
    for side in ("inputs", "outputs"):
        assert [(slot["name"], slot["type"]) for slot in node[side]] == [(s["name"], s["type"]) for s in block[side]]
    widgets = [slot for slot in node["inputs"] if "widget" in slot]
    assert len(node["widgets_values"]) == len(widgets)
    assert len(block["inputs"]) <= MOST


@every_block
def test_every_link_inside_joins_two_ends_of_its_type(name):
    file = load(name)
    (inside,) = workflows.blocks_of(file)
    (block,) = file["definitions"]["subgraphs"]
    numbers = {link[0] for link in inside["links"]}
    assert all(slot["linkIds"] and set(slot["linkIds"]) <= numbers for slot in [*block["inputs"], *block["outputs"]])
    assert workflows.block_problems(inside) == []


@every_block
def test_a_value_outside_is_that_of_every_widget_inside_that_takes_it(name):
    file = load(name)
    (node,), (block,) = file["nodes"], file["definitions"]["subgraphs"]
    names = [slot["name"] for slot in node["inputs"] if "widget" in slot]
    values = dict(zip(names, node["widgets_values"], strict=True))
    for link in block["links"]:
        if link["origin_id"] == -10 and (outer := block["inputs"][link["origin_slot"]]["name"]) in values:
            target = next(inner for inner in block["nodes"] if inner["id"] == link["target_id"])
            assert values[outer] in target["widgets_values"], (outer, target["type"])


@every_block
def test_nodes_inside_lie_apart(name):
    (inside,) = workflows.blocks_of(load(name))
    assert workflows.overlaps(inside) == []


@every_block
def test_it_names_no_place_of_one_machine_and_trains_at_one_seed(name):
    file = load(name)
    assert [text for text in workflows.texts_of(file) if workflows.ABSOLUTE.search(text)] == []
    texts = json.dumps(file)
    assert not re.search(r'"(randomize|increment|decrement)"', texts)


def test_they_are_shipped():
    left_out = (workflows.ROOT / ".comfyignore").read_text(encoding="utf-8").split()
    assert not [entry for entry in left_out if "subgraphs" in entry or entry in ("*.json", "/*")]
