"""Write a described workflow as the front end saves it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from workflow_files.blocks.writing import BlockWriter
from workflow_files.graph import NAMESPACE, Graph
from workflow_files.nodes import GROUP_GAP, TITLE, CanvasWriter

FRONT_END = "1.47.12"  # whose files these are like
FEW = 8  # nodes that are seen at once


class Writer(CanvasWriter):
    """Turns a ``Graph`` into the JSON object of a workflow file.

    Args:
        graph: What to write.
        schemas: ``object_info`` of the host.
    """

    def __init__(self, graph: Graph, schemas: Mapping[str, Any]) -> None:
        self.graph, self.free = graph, len(graph.nodes) + 1
        self.blocks = []
        for block in (node.block for node in graph.nodes if node.block):
            self.free = block.number_from(self.free)
            self.blocks.append(BlockWriter(block, schemas))
        super().__init__(graph, {**schemas, **{block.id: block.schema() for block in self.blocks}})

    def write(self) -> dict[str, Any]:
        """The whole file."""
        written, groups = self.write_nodes()
        readme = written[self.graph.readme.id]
        readme["pos"] = [-readme["size"][0] - GROUP_GAP, TITLE]
        view = self._view(readme, groups)
        inside = {"definitions": {"subgraphs": [block.definition() for block in self.blocks]}} if self.blocks else {}
        return {
            "id": str(uuid.uuid5(NAMESPACE, self.graph.name)),
            "revision": 0,
            "last_node_id": self.free - 1,
            "last_link_id": len(self.links),
            "nodes": list(written.values()),
            "links": self.links,
            "groups": groups,
            **inside,
            "config": {},
            "extra": {
                "ds": {"scale": 0.6, "offset": [440, 120]},
                "frontendVersion": FRONT_END,
                "fewshot_view": view,  # for js/view.js
            },
            "version": 0.4,
        }

    def _view(self, readme: dict[str, Any], groups: list[dict[str, Any]]) -> list[int]:
        """The box that is seen when the file is opened: the note and the first step, or all of few nodes."""
        left, top = readme["pos"][0], 0
        seen = groups if len(self.graph.nodes) <= FEW else groups[:1]
        right = max(group["bounding"][0] + group["bounding"][2] for group in seen)
        bottom = max(readme["pos"][1] + readme["size"][1], *(group["bounding"][3] for group in seen))
        return [left, top, right - left, bottom - top]
