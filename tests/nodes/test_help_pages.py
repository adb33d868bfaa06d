"""The help pages tell what the schemas say: inputs in their order, defaults, choices and outputs."""

from __future__ import annotations

from typing import Any

import help_pages
import pytest

from pack import nodes

SCHEMAS = [node.GET_SCHEMA() for node in nodes.node_list()]
FROM_DISK = {"folder", "lora_name", "name"}  # choices that depend on the user's files
HOSTS = {"sampler_name"}  # a list of the host's that KSampler has, too


def ids(schema: Any) -> str:
    return schema.node_id


def as_text(default: Any) -> str:
    """A default as the pages write it."""
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("schema", SCHEMAS, ids=ids)
def test_the_title_is_the_name_in_the_menu(schema):
    assert help_pages.page(schema.node_id).splitlines()[0] == f"# {schema.display_name}"


@pytest.mark.parametrize("schema", SCHEMAS, ids=ids)
def test_inputs_stand_in_the_page_in_order_and_with_their_defaults(schema):
    rows = help_pages.table(help_pages.page(schema.node_id), "input")
    wanted = [(field.id, as_text(getattr(field, "default", None))) for field in schema.inputs]
    assert [(row[0], row[1]) for row in rows] == wanted
    assert all(row[3] for row in rows)  # how to choose it


@pytest.mark.parametrize("schema", SCHEMAS, ids=ids)
def test_every_choice_of_an_input_is_explained(schema):
    text = help_pages.page(schema.node_id)
    elsewhere = set() if schema.node_id == "TICFTContext" else {"task"}  # its page explains the tasks
    fields = [field for field in schema.inputs if field.id not in FROM_DISK | HOSTS | elsewhere]
    options = [str(option) for field in fields for option in getattr(field, "options", None) or ()]
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize("schema", SCHEMAS, ids=ids)
def test_outputs_stand_in_the_page_in_order(schema):
    rows = help_pages.table(help_pages.page(schema.node_id), "output")
    assert [row[0] for row in rows] == [output.display_name or output.id for output in schema.outputs]
