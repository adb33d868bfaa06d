"""Write described nodes as the front end saves them: positions, sockets, links, widget values in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_files.graph import Canvas, Node, Wire
from workflow_files.schema import NOTES, Input, default_of, expand, read_inputs

TITLE = 30  # height of a node's title, which lies above its position
GAP = 24  # between nodes of a column, at least
# What Nodes 2.0 makes a node higher by than the canvas does: badges or a file that is missing, and each widget.
HIGHER, HIGHER_WIDGET = 36, 4
COLUMN_GAP = 60
GROUP_GAP = 50
GROUP_PADDING = 20
GROUP_HEAD = 50
BYPASSED = 4  # mode of a node that hands on what it is given
TALL = {"LossGraphNode": 320, "PreviewImage": 250, "PreviewAny": 190, "LoadImage": 360}
# What a node becomes higher by: the video of one that has run, the panel and the timeline that the page adds.
PANEL, TIMELINE = 500, 220
SIDE_BY_SIDE, LOW_PANEL = 804, 300  # width of a node from which on the panel's parts lie in a row, and its height then
TRAINERS = ("TICFTTrain", "TuneAVideoTrain", "FewShotMotionTrain", "AICLTrain")
GROWS = {"SaveVideo": 230, "TICFTContext": TIMELINE, **dict.fromkeys(TRAINERS, PANEL), "TICFTTrain": TIMELINE + PANEL}
BACKGROUNDS = {"#432": "#653", "#232": "#353", "#322": "#533"}


class CanvasWriter:
    """Turns the nodes of a ``Canvas`` into JSON objects.

    Args:
        canvas: What to write.
        schemas: ``object_info`` of the host, and schemas of the blocks among the nodes.
    """

    def __init__(self, canvas: Canvas, schemas: Mapping[str, Any]) -> None:
        self.canvas, self.schemas = canvas, schemas
        self.links: list[list[Any]] = []

    def write_nodes(self) -> tuple[dict[int, dict[str, Any]], list[dict[str, Any]]]:
        """The nodes by number, placed and linked, and the groups around them."""
        written = {node.id: self._node(node) for node in self.canvas.nodes}
        groups = self._place(written)
        for link in self.links:
            if link[1] in written:
                output = written[link[1]]["outputs"][link[2]]
                output["links"] = [*(output["links"] or []), link[0]]
        for order, number in enumerate(self._order()):
            written[number]["order"] = order
        return written, groups

    def _order(self) -> list[int]:
        """Node ids in the order the front end counts: a node follows as soon as its last source has come."""
        inside = [link for link in self.links if link[1] > 0 and link[3] > 0]
        waiting = {node.id: sum(link[3] == node.id for link in inside) for node in self.canvas.nodes}
        order = [number for number, count in waiting.items() if not count]
        for number in order:  # it grows on the way
            for link in sorted((link for link in inside if link[1] == number), key=lambda link: link[2]):
                waiting[link[3]] -= 1
                if not waiting[link[3]]:
                    order.append(link[3])
        return order

    def _node(self, node: Node) -> dict[str, Any]:
        if node.kind in NOTES:
            sockets, outputs, values = [], [], [node.values["text"]]
        else:
            sockets, values = self._inputs(node)
            outputs = self._outputs(node)
        size = [node.size[0], node.size[1] or self._height(node, sockets, outputs, values)]
        written: dict[str, Any] = {"id": node.id, "type": node.kind, "pos": [0, 0], "size": size, "flags": {}}
        written |= {"order": 0, "mode": 0, "inputs": sockets, "outputs": outputs}
        if node.title:
            written["title"] = node.title
        written["properties"] = {} if node.block or node.kind in NOTES else {"Node name for S&R": node.kind}
        written["widgets_values"] = values
        if node.color:
            written |= {"color": node.color, "bgcolor": BACKGROUNDS[node.color]}
        return written

    def _inputs(self, node: Node) -> tuple[list[dict[str, Any]], list[Any]]:
        """Sockets, then those widgets that are wired, and the values of all widgets.

        Raises:
            ValueError: the description names an input that the node has not.
        """
        entries = [entry for raw in read_inputs(self._schema(node)) for entry in expand(raw, self._value(node, raw))]
        if unknown := set(node.values) - {entry.name for entry in entries}:
            raise ValueError(f"{self.canvas.name}: {node.kind} has no input {', '.join(sorted(unknown))}")
        entries = [entry for entry in entries if not entry.grown or entry.name in node.values]
        values: list[Any] = []
        sockets: list[dict[str, Any]] = []
        for entry in sorted(entries, key=lambda entry: entry.is_widget):  # stable: plain sockets come first
            if node.block or not entry.is_widget or isinstance(node.values.get(entry.name), Wire):
                sockets.append(self._socket(node, entry, len(sockets)))
            if entry.is_widget:
                values.append(self._value(node, entry))
                values += ["fixed"] if entry.control else []
                values += ["image"] if entry.uploads else []
        return sockets, values

    def _value(self, node: Node, entry: Input) -> Any:
        """Value of a widget; a wired one keeps its default. None for plain sockets."""
        given = node.values.get(entry.name)
        if not entry.is_widget:
            return None
        return default_of(entry) if given is None or isinstance(given, Wire) else given

    def _socket(self, node: Node, entry: Input, slot: int) -> dict[str, Any]:
        given = node.values.get(entry.name)
        socket: dict[str, Any] = {"name": entry.name}
        if entry.optional:
            socket["shape"] = 7
        socket["type"] = entry.type
        if entry.is_widget:
            socket["widget"] = {"name": entry.name}
        socket["link"] = self._link(given, node, slot) if isinstance(given, Wire) else None
        return socket

    def _link(self, wire: Wire, node: Node, slot: int) -> int:
        """Note a link and return its number."""
        schema = self._schema(wire.node)
        try:
            output = schema["output_name"].index(wire.output)
        except ValueError:
            names = ", ".join(schema["output_name"])
            raise ValueError(f"{wire.node.kind} has no output {wire.output!r}, only {names}") from None
        number = len(self.links) + 1
        self.links.append([number, wire.node.id, output, node.id, slot, schema["output"][output]])
        return number

    def _outputs(self, node: Node) -> list[dict[str, Any]]:
        schema = self._schema(node)
        return [
            {"name": name, "type": kind, "links": None}
            for name, kind in zip(schema["output_name"], schema["output"], strict=True)
        ]

    def _schema(self, node: Node) -> Mapping[str, Any]:
        if node.kind not in self.schemas:
            raise ValueError(f"{self.canvas.name}: the host has no node {node.kind}")
        return self.schemas[node.kind]

    def _height(self, node: Node, sockets: list, outputs: list, values: list) -> int:
        """What the front end would give the node, and room for the picture of those that show one."""
        schema = self._schema(node)
        plain = sum("widget" not in socket for socket in sockets)
        texts = sum(bool(entry.options.get("multiline")) for entry in read_inputs(schema))
        rows = 20 * max(plain, len(outputs)) + 24 * len(values) + 66 * texts + (14 if values else 6)
        return max(rows, TALL.get(node.kind, 0))

    def _room(self, node: dict[str, Any]) -> int:
        """Height to keep free below a node for what it shows in the page or after a run."""
        higher = 0 if node["type"] in NOTES else HIGHER + HIGHER_WIDGET * len(node["widgets_values"])
        low = PANEL - LOW_PANEL if node["type"] in TRAINERS and node["size"][0] >= SIDE_BY_SIDE else 0
        return GROWS.get(node["type"], 0) + higher - low

    def _place(self, written: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """Give every node its position and return the groups."""
        left, groups = 0, []
        for number, group in enumerate(self.canvas.groups, 1):
            x, bottom = left + GROUP_PADDING, 0
            for column in group.columns:
                y = GROUP_HEAD + TITLE
                for node in column:
                    written[node.id]["mode"] = BYPASSED if group.bypassed else 0
                    written[node.id]["pos"] = [x, y]
                    y += written[node.id]["size"][1] + self._room(written[node.id]) + TITLE + GAP
                bottom = max(bottom, y - TITLE - GAP)
                x += max(written[node.id]["size"][0] for node in column) + COLUMN_GAP
            width = x - COLUMN_GAP + GROUP_PADDING - left
            bounding = [left, 0, width, bottom + GROUP_PADDING]
            groups.append({"id": number, "title": f"{number} {group.title}", "bounding": bounding})
            groups[-1] |= {"color": "#3f789e", "flags": {}}
            left += width + GROUP_GAP
        return groups
