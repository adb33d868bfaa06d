"""Turn a workflow file into what the host's ``/prompt`` takes, for plain graphs (no subgraphs, nothing muted)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from workflow_files.schema import NOTES, default_of, expand, read_inputs

Prompt = dict[str, dict[str, Any]]


def to_prompt(workflow: Mapping[str, Any], schemas: Mapping[str, Any]) -> Prompt:
    """The API form of a workflow.

    Args:
        workflow: JSON object of the file.
        schemas: ``object_info`` of the host.

    Raises:
        ValueError: the host does not know a node.
    """
    links = {link[0]: link for link in workflow["links"]}
    prompt: Prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        if node["type"] not in schemas:
            raise ValueError(f"node {node['id']}: the host has no node {node['type']}")
        inputs = widget_values(node, schemas[node["type"]])
        for socket in node["inputs"]:
            if socket["link"] is not None:
                link = links[socket["link"]]
                inputs[socket["name"]] = [str(link[1]), link[2]]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


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


def shortened(prompt: Prompt, train_steps: int = 3, sample_steps: int = 3, clips: int = 3) -> Prompt:
    """A copy that is quick to run: few steps, few clips, small batches. For tests and drafts."""
    short = copy.deepcopy(prompt)
    for node in short.values():
        inputs, kind = node["inputs"], node["class_type"]
        whole = kind == "KSamplerAdvanced" and inputs["start_at_step"] == 0 and inputs["end_at_step"] >= inputs["steps"]
        if whole or kind in ("KSampler", "FewShotInversion", "LTXVScheduler"):
            inputs["steps"] = min(inputs["steps"], sample_steps)
        if "learning_rate" in inputs:
            limits = {"steps": train_steps, "appearance_steps": train_steps, "batch_size": 2}
            inputs |= {name: min(inputs[name], most) for name, most in limits.items() if name in inputs}
        if kind in ("FewShotToyClips", "FewShotTemplateClips"):
            inputs["count"] = min(inputs["count"], clips)
    return short
