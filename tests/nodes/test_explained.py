"""Every node of the menu is explained: help with a picture, tooltips, texts of the page, a workflow to look at."""

from __future__ import annotations

import json
from typing import Any

import help_pages
import pytest
import workflow_checks as workflows

from pack import nodes

SCHEMAS = [node.GET_SCHEMA() for node in nodes.node_list()]
every_node = pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.node_id)


def texts_of(node_id: str) -> dict[str, Any]:
    """What the page shows of a node in English."""
    path = workflows.ROOT / "locales" / "en" / "nodeDefs.json"
    return json.loads(path.read_text(encoding="utf-8")).get(node_id, {})


@every_node
def test_it_has_a_help_page_with_a_picture(schema):
    assert help_pages.pictures(help_pages.page(schema.node_id))


@every_node
def test_every_input_and_output_has_a_tooltip_of_more_than_its_name(schema):
    short = [field.id for field in [*schema.inputs, *schema.outputs] if len((field.tooltip or "").split()) < 2]
    assert short == []


@every_node
def test_the_page_has_a_text_for_each_of_its_parts(schema):
    texts = texts_of(schema.node_id)
    assert (texts["display_name"], texts["description"]) == (schema.display_name, schema.description)
    assert {name: entry["tooltip"] for name, entry in texts["inputs"].items()} == {
        field.id: field.tooltip for field in schema.inputs
    }
    assert [entry["tooltip"] for entry in texts["outputs"].values()] == [field.tooltip for field in schema.outputs]


@every_node
def test_a_workflow_uses_it(schema):
    using = [name for name in workflows.NAMES if workflows.nodes_of(workflows.load(name), schema.node_id)]
    assert using
