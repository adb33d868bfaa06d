"""Write a described workflow as the front end saves it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from workflow_files.blocks import BlockWriter
from workflow_files.graph import NAMESPACE, Graph
from workflow_files.nodes import GROUP_GAP, TITLE, CanvasWriter

FRONT_END = "1.47.12"  # whose files these are like


class Writer(CanvasWriter):
    """Turns a ``Graph`` into the JSON object of a workflow file.

    Args:
        graph: What to write.
        schemas: ``object_info`` of the host.
    """

    def __init__(self, graph: Graph, schemas: Mapping[str, Any]) -> None:
        self.graph = graph
        self.blocks = [BlockWriter(node.block, schemas) for node in graph.nodes if node.block]
        super().__init__(graph, {**schemas, **{block.id: block.schema() for block in self.blocks}})

    def write(self) -> dict[str, Any]:
        """The whole file."""
        written, groups = self.write_nodes()
        readme = written[self.graph.readme.id]
        readme["pos"] = [-readme["size"][0] - GROUP_GAP, TITLE]
        inside = {"definitions": {"subgraphs": [block.definition() for block in self.blocks]}} if self.blocks else {}
        return {
            "id": str(uuid.uuid5(NAMESPACE, self.graph.name)),
            "revision": 0,
            "last_node_id": len(self.graph.nodes),
            "last_link_id": len(self.links),
            "nodes": list(written.values()),
            "links": self.links,
            "groups": groups,
            **inside,
            "config": {},
            "extra": {"ds": {"scale": 0.6, "offset": [440, 120]}, "frontendVersion": FRONT_END},
            "version": 0.4,
        }
