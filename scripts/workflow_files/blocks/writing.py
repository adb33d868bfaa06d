"""Write blocks: subgraphs inside a workflow, and blueprints, which the host lists with its node library."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from workflow_files.graph import NAMESPACE, Block, Canvas, Node, Wire, block_id
from workflow_files.nodes import CanvasWriter
from workflow_files.prompt import OUTSIDE
from workflow_files.schema import Input, default_of

RESULT = -20  # number of the other end, as the front end has it
END_WIDTH, ROW = 130, 20
FAR = 60  # of the ends from the nodes


class BlockWriter(CanvasWriter):
    """Turns a ``Block`` into the JSON object of a subgraph's definition.

    Args:
        block: What to write.
        schemas: ``object_info`` of the host.

    Raises:
        ValueError: an input leads nowhere, or stands among the sockets though it is a widget.
    """

    def __init__(self, block: Block, schemas: Mapping[str, Any]) -> None:
        super().__init__(block, schemas)
        self.block, self.id = block, str(block_id(block))
        self.taken: dict[str, Input] = {}  # what an input of the block is given to first
        self.written, self.groups = self.write_nodes()
        if lost := set(block.defaults) - set(self.taken):
            raise ValueError(f"{block.name}: input {', '.join(sorted(lost))} leads nowhere")
        widgets = [self.taken[name].is_widget for name in block.defaults]
        if widgets != sorted(widgets):
            raise ValueError(f"{block.name}: sockets come before widgets")
        self.results = [self._result(wire, slot) for slot, wire in enumerate(block.outputs.values())]

    def schema(self) -> dict[str, Any]:
        """What ``object_info`` would say of the block's node."""
        inputs = {name: self._spec(name) for name in self.block.defaults}
        kinds = [self.links[number - 1][5] for number in self.results]
        return {"input": {"required": inputs}, "output": kinds, "output_name": list(self.block.outputs)}

    def definition(self) -> dict[str, Any]:
        """The subgraph."""
        boxes = [group["bounding"] for group in self.groups]
        right, bottom = max(x + width for x, _, width, _ in boxes), max(y + height for _, y, _, height in boxes)
        starts: list[list[int]] = [[] for _ in self.block.defaults]
        for link in self.links:
            if link[1] == OUTSIDE:
                starts[link[2]].append(link[0])
        return {
            "id": self.id,
            "version": 1,
            "state": {
                "lastGroupId": len(self.groups),
                "lastNodeId": max(self.written),
                "lastLinkId": len(self.links),
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": self.block.title,
            "description": self.block.description,
            "inputNode": self._end(OUTSIDE, -END_WIDTH - FAR, bottom, len(starts)),
            "outputNode": self._end(RESULT, right + FAR, bottom, len(self.results)),
            "inputs": [
                self._slot("in", name, self.taken[name].type, starts[slot])
                for slot, name in enumerate(self.block.defaults)
            ],
            "outputs": [
                self._slot("out", name, self.links[number - 1][5], [number])
                for name, number in zip(self.block.outputs, self.results, strict=True)
            ],
            "widgets": [],
            "nodes": list(self.written.values()),
            "groups": self.groups,
            "links": [
                dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link, strict=True))
                for link in self.links
            ],
            "extra": {},
        }

    def _spec(self, name: str) -> list[Any]:
        """An input of the block as ``object_info`` has one: as inside, with the block's own value as its default."""
        entry, value = self.taken[name], self.block.defaults[name]
        plain = {"control_after_generate", "image_upload", "video_upload", "audio_upload", "file_upload"}
        options = {key: option for key, option in entry.options.items() if key not in plain}
        if entry.is_widget:
            options |= {"control_after_generate": False, "default": default_of(entry) if value is None else value}
        return [list(entry.choices) if entry.choices is not None else entry.type, options]

    def _end(self, number: int, left: int, bottom: int, rows: int) -> dict[str, Any]:
        height = ROW * (rows + 2)
        return {"id": number, "bounding": [left, max(0, (bottom - height) // 2), END_WIDTH, height]}

    def _slot(self, side: str, name: str, kind: str, links: list[int]) -> dict[str, Any]:
        number = str(uuid.uuid5(NAMESPACE, f"{self.id} {side} {name}"))
        label = {"label": self.block.labels[name]} if side == "in" and name in self.block.labels else {}
        return {"id": number, "name": name, "type": kind, "linkIds": links, **label, "pos": [0, 0]}

    def _value(self, node: Node, entry: Input) -> Any:
        given = node.values.get(entry.name)
        if entry.is_widget and isinstance(given, Wire) and given.node is self.block.outside:
            value = self.block.defaults[given.output]
            return default_of(entry) if value is None else value
        return super()._value(node, entry)

    def _socket(self, node: Node, entry: Input, slot: int) -> dict[str, Any]:
        given = node.values.get(entry.name)
        if isinstance(given, Wire) and given.node is self.block.outside:
            self.taken.setdefault(given.output, entry)
        return super()._socket(node, entry, slot)

    def _link(self, wire: Wire, node: Node, slot: int) -> int:
        if wire.node is not self.block.outside:
            return super()._link(wire, node, slot)
        number, entrance = len(self.links) + 1, list(self.block.defaults).index(wire.output)
        self.links.append([number, OUTSIDE, entrance, node.id, slot, self.taken[wire.output].type])
        return number

    def _result(self, wire: Wire, slot: int) -> int:
        """Link an output of a node inside to an output of the block; returns the link's number."""
        schema = self.schemas[wire.node.kind]
        output = schema["output_name"].index(wire.output)
        number = len(self.links) + 1
        self.links.append([number, wire.node.id, output, RESULT, slot, schema["output"][output]])
        source = self.written[wire.node.id]["outputs"][output]
        source["links"] = [*(source["links"] or []), number]
        return number


def blueprint(block: Block, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The file of a block that the node library offers: a workflow of nothing but its node."""
    free = block.number_from(2)
    inside = BlockWriter(block, schemas)
    canvas = Canvas(block.name)
    with canvas.group("Block"):
        canvas.add_block(block, size=(340, None))
    writer = CanvasWriter(canvas, {inside.id: inside.schema()})
    (node,) = writer.write_nodes()[0].values()
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"blueprint {block.name}")),
        "revision": 0,
        "last_node_id": free - 1,
        "last_link_id": 0,
        "nodes": [node],
        "links": [],
        "groups": [],
        "definitions": {"subgraphs": [inside.definition()]},
        "config": {},
        "extra": {"BlueprintDescription": block.description},
        "version": 0.4,
    }
