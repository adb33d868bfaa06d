"""Describe a workflow in Python: nodes, wires, groups by step and notes, placed in columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WIDTH = 300  # of a node


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

    def __getitem__(self, output: str) -> Wire:
        return Wire(self, output)


@dataclass
class Group:
    """A step: a titled frame around columns of nodes."""

    title: str
    columns: list[list[Node]] = field(default_factory=lambda: [[]])


class Graph:
    """A workflow under construction; nodes go to the last column of the open group.

    Args:
        name: File stem, ``<method>_<task>_<model>``.
        summary: What it is for, in Markdown; shown in a note at the left.
    """

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.groups: list[Group] = []
        self.nodes: list[Node] = []
        self.readme = self._number(note(summary, title="Read me", width=360))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Nodes added inside belong to this step."""
        self.groups.append(Group(title))
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


def note(text: str, title: str, width: int) -> Node:
    """A Markdown note, high enough for its text."""
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    per_line = (width - 30) / 5  # letters
    lines = sum(1 + int(len(line) / per_line) for line in text.splitlines())
    gaps = text.count("\n\n") + text.count("#")
    return Node("MarkdownNote", {"text": text}, title, (width, max(90, 40 + 16 * lines + 4 * gaps)), "#432")
