"""Describe a workflow in Python: nodes, wires, groups by step and notes, placed in columns."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from workflow_files.names import title_of

WIDTH = 300  # of a node
NAMESPACE = uuid.UUID("5f1f4b0e-2f61-4c1f-9d0c-2a4c55a3a5f1")  # of the ids of workflows and blocks


def block_id(block: Block) -> uuid.UUID:
    """Id of a subgraph, which is also the type of its node; the same at every writing."""
    return uuid.uuid5(NAMESPACE, f"block {block.name}")


@dataclass(frozen=True)
class Wire:
    """An output of a node, to be given as the value of another node's input."""

    node: Node
    output: str


@dataclass(eq=False)
class Node:
    """One node: its type and the values (or wires) of its inputs by name."""

    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    title: str | None = None
    size: tuple[int, int | None] = (WIDTH, None)  # width and height on the canvas
    color: str | None = None
    id: int = 0
    block: Block | None = None  # what is inside, of a subgraph

    def __getitem__(self, output: str) -> Wire:
        return Wire(self, output)


@dataclass
class Group:
    """A step: a titled frame around columns of nodes."""

    title: str
    columns: list[list[Node]] = field(default_factory=lambda: [[]])
    bypassed: bool = False


class Canvas:
    """Nodes in columns of groups; nodes go to the last column of the open group."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: list[Group] = []
        self.nodes: list[Node] = []

    @contextmanager
    def group(self, title: str, bypassed: bool = False) -> Iterator[None]:
        """Nodes added inside belong to this step; a bypassed one stands ready to take the place of the step before."""
        self.groups.append(Group(title, bypassed=bypassed))
        yield

    def column(self) -> None:
        """Go on in a new column of the open group."""
        self.groups[-1].columns.append([])

    def add(
        self,
        kind: str,
        /,
        *,
        title: str | None = None,
        size: tuple[int, int | None] = (WIDTH, None),
        color: str | None = None,
        **values: Any,
    ) -> Node:
        """Add a node below the last one of the column.

        Args:
            kind: Type of the node.
            title: None keeps the node's own.
            size: Width and height on the canvas; a height of None fits what the node shows.
            color: Of its title; a key of ``BACKGROUNDS`` of the writer.
            values: Its inputs by name, wires among them; what is not given keeps its default.
        """
        return self._place(Node(kind, values, title, size, color))

    def add_block(
        self, block: Block, /, *, title: str | None = None, size: tuple[int, int | None] = (WIDTH, None), **values: Any
    ) -> Node:
        """Add a subgraph as one node; its inputs by name."""
        return self._place(Node(str(block_id(block)), values, title, size, block=block))

    def note(self, text: str, width: int = WIDTH) -> Node:
        """Add a note, in Markdown."""
        return self._place(note(text, title="Note", width=width))

    def _place(self, node: Node) -> Node:
        self.groups[-1].columns[-1].append(node)
        return self._number(node)

    def _number(self, node: Node) -> Node:
        self.nodes.append(node)
        node.id = len(self.nodes)
        return node


class Graph(Canvas):
    """A workflow under construction.

    Args:
        name: Key in ``TITLES``, ``<method>_<task>_<model>``: what it writes is named after it.
        summary: What it is for, in Markdown; shown in a note at the left, under the title.

    Raises:
        ValueError: it has no title.
    """

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name)
        self.title = title_of(name)
        self.readme = self._number(note(f"## {self.title}\n\n{summary.strip()}", title="Read me", width=360))


class Block(Canvas):
    """A subgraph: a node with others inside, of which a few inputs are outside.

    Args:
        title: Of its node, and the name in the node library.
        description: What it does, in a sentence or two.

    Attributes:
        outside: What the wires of its inputs begin at.
        defaults: Values of its inputs by name; None keeps that of the node inside.
        outputs: Wires of its outputs by name.
    """

    def __init__(self, title: str, description: str) -> None:
        super().__init__(title)
        self.title, self.description = title, description
        self.outside = Node("outside", id=-10)
        self.defaults: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        self.outputs: dict[str, Wire] = {}

    def input(self, name: str, value: Any = None, label: str | None = None) -> Wire:
        """Add an input, to be given to as many inputs inside as need it; sockets come before widgets."""
        self.defaults[name] = value
        if label:
            self.labels[name] = label
        return self.outside[name]

    def number_from(self, first: int) -> int:
        """Number the nodes on from those of the graph around, as no two may have one; the first that is free."""
        for number, node in enumerate(self.nodes, first):
            node.id = number
        return first + len(self.nodes)


def note(text: str, title: str, width: int) -> Node:
    """A Markdown note, high enough for its text; ``[key]`` names another workflow by its title.

    Code becomes italics: front end 1.47 writes it in blue on a note's brown, where nobody can read it.
    """
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    text = re.sub(r"`([^`]+)`", r"*\1*", text)
    text = re.sub(r"\[(\w+)\](?!\()", lambda found: f"*{title_of(found[1])}*", text)
    per_line = (width - 30) / 5  # letters
    lines = sum(1 + int(len(line) / per_line) for line in text.splitlines())
    gaps = text.count("\n\n") + text.count("#")
    return Node("MarkdownNote", {"text": text}, title, (width, max(90, 40 + 16 * lines + 4 * gaps)), "#432")
