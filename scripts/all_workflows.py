"""The list of all workflows that workflows/ holds."""

from __future__ import annotations

from workflow_graph import Graph
from workflow_toy import toy_workflows
from workflow_wan import wan_workflows


def all_graphs() -> list[Graph]:
    """Their descriptions."""
    return [*toy_workflows(), *wan_workflows()]
