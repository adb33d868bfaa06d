"""Turn a workflow file into what the host's ``/prompt`` takes; nodes in it may be bypassed, but none is muted."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from workflow_files.schema import NOTES, default_of, expand, read_inputs

Prompt = dict[str, dict[str, Any]]
BYPASSED = 4  # mode of a node
OUTSIDE = -10  # number of the end that the links of a block's inputs begin at


def to_prompt(workflow: Mapping[str, Any], schemas: Mapping[str, Any]) -> Prompt:
    """The API form of a workflow; nodes inside a block get ids like ``7:2``, as the front end gives them.

    Args:
        workflow: JSON object of the file.
        schemas: ``object_info`` of the host.

    Raises:
        ValueError: the host does not know a node.
    """
    definitions = {block["id"]: block for block in workflow.get("definitions", {}).get("subgraphs", [])}
    return dict(_Level(workflow["nodes"], workflow["links"], definitions).entries(schemas))


class _Level:
    """The nodes of a workflow or of a block in it.

    Attributes:
        around: The level that the block's node is in, and that node; None outside of all blocks.
    """

    def __init__(
        self,
        nodes: list[Any],
        links: list[Any],
        definitions: Mapping[str, Any],
        around: tuple[_Level, Mapping[str, Any]] | None = None,
    ) -> None:
        self.nodes, self.definitions, self.around = nodes, definitions, around
        rows = [link if isinstance(link, list) else list(link.values()) for link in links]
        self.links = {row[0]: row for row in rows}
        self.bypassed = {node["id"]: node for node in nodes if node.get("mode") == BYPASSED}
        self.prefix = f"{around[0].prefix}{around[1]['id']}:" if around else ""
        self.blocks = {
            node["id"]: _Level(block["nodes"], block["links"], definitions, (self, node))
            for node in nodes
            if (block := definitions.get(node["type"]))
        }

    def entries(self, schemas: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ids and nodes of the prompt."""
        for node in self.nodes:
            if node["id"] in self.bypassed:
                continue
            if node["id"] in self.blocks:
                yield from self.blocks[node["id"]].entries(schemas)
            elif node["type"] not in NOTES:
                yield f"{self.prefix}{node['id']}", self._entry(node, schemas)

    def _entry(self, node: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
        if node["type"] not in schemas:
            raise ValueError(f"node {node['id']}: the host has no node {node['type']}")
        inputs = widget_values(node, schemas[node["type"]])
        for socket in node["inputs"]:
            if socket["link"] is not None:
                inputs[socket["name"]] = self._source(socket["link"])
                if inputs[socket["name"]] is None:
                    del inputs[socket["name"]]
        return {"class_type": node["type"], "inputs": inputs}

    def _source(self, number: int) -> Any:
        """Where a link comes from: a node's id and output, or the value of a block's own widget; None from nowhere."""
        _, origin, slot, _, _, kind, *_ = self.links[number]
        if origin in self.bypassed:
            through = _bypass(self.bypassed[origin], slot, kind)
            return None if through is None else self._source(through)
        if origin in self.blocks:
            inside = self.blocks[origin]
            return inside._source(self.definitions[inside.kind]["outputs"][slot]["linkIds"][0])
        if origin != OUTSIDE:
            return [f"{self.prefix}{origin}", slot]
        assert self.around is not None
        level, node = self.around
        socket = node["inputs"][slot]
        if socket["link"] is not None:
            return level._source(socket["link"])
        widgets = [entry["name"] for entry in node["inputs"] if "widget" in entry]
        return node["widgets_values"][widgets.index(socket["name"])] if "widget" in socket else None

    @property
    def kind(self) -> str:
        """Type of the block's node."""
        assert self.around is not None
        return self.around[1]["type"]


def _bypass(node: Mapping[str, Any], slot: int, kind: str) -> int | None:
    """Link that a bypassed node hands on at an output: of the input beside it, else of the first one of the type."""
    beside = node["inputs"][slot : slot + 1]
    fitting = [socket for socket in [*beside, *node["inputs"]] if socket["type"] == kind]
    return fitting[0]["link"] if fitting else None


def widget_values(node: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a node's widgets by input name, from the list in the file.

    As in the front end, an older file may be short of values (the schema's defaults are taken) and a newer
    one may have more than this host knows (they are left out).
    """
    left = list(node.get("widgets_values") or [])
    values: dict[str, Any] = {}
    for raw in read_inputs(schema):
        if not raw.is_widget:
            continue
        for entry in expand(raw, left[0] if left else default_of(raw)):
            values[entry.name] = left.pop(0) if left else default_of(entry)
            del left[: bool(entry.control) + entry.uploads]
    return values


def widget_count(node: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    """How many widget values the front end saves for a node with these values."""
    values = widget_values(node, schema)
    entries = [entry for raw in read_inputs(schema) if raw.is_widget for entry in expand(raw, values[raw.name])]
    return sum(1 + bool(entry.control) + entry.uploads for entry in entries)


LONG_FRAMES = 49  # of a shortened video of any length


def shortened(prompt: Prompt, train_steps: int = 3, sample_steps: int = 3, clips: int = 3) -> Prompt:
    """A copy that is quick to run: few steps, few clips, small batches. For tests and drafts."""
    short = copy.deepcopy(prompt)
    for node in short.values():
        inputs, kind = node["inputs"], node["class_type"]
        whole = kind == "KSamplerAdvanced" and inputs["start_at_step"] == 0 and inputs["end_at_step"] >= inputs["steps"]
        if whole or kind in ("KSampler", "BasicScheduler", "FewShotInversion", "LTXVScheduler"):
            inputs["steps"] = min(inputs["steps"], sample_steps)
        if "learning_rate" in inputs:
            limits = {"steps": train_steps, "appearance_steps": train_steps, "batch_size": 2}
            inputs |= {name: min(inputs[name], most) for name, most in limits.items() if name in inputs}
        if kind in ("FewShotToyClips", "FewShotTemplateClips"):
            inputs["count"] = min(inputs["count"], clips)
        if kind == "FewShotDatasetItem" and isinstance(inputs["index"], int):
            inputs["index"] = min(inputs["index"], clips - 1)
        if kind == "TICFTLongVideo":
            inputs["frames"] = min(inputs["frames"] or LONG_FRAMES, LONG_FRAMES)
    return short
