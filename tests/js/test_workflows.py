"""Workflows in the page: they open without a red node and are saved as they were opened."""

from __future__ import annotations

import pytest
import workflow_checks as workflows

TYPES = "() => app.graph.nodes.filter(n => n.has_errors || !LiteGraph.registered_node_types[n.type]).map(n => n.type)"


@pytest.mark.parametrize("name", ["tic_ft_train_toy"])
def test_a_template_opens_and_is_saved_as_it_was(open_template, name):
    site = open_template(name)
    assert site.page.evaluate(TYPES) == []
    saved = {node["id"]: node.get("widgets_values") for node in site.graph()["workflow"]["nodes"]}
    assert saved == {node["id"]: node.get("widgets_values") for node in workflows.load(name)["nodes"]}
