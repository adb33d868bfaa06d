"""Pairs of clips in the template packages of ComfyUI: what a template was given, and what it made of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ....training.data.folder_files import TARGET, ClipFiles, FolderFiles
from ....training.data.media.kinds import is_animated
from ....training.storage.json_text import read_json

PACKAGE = "comfyui_workflow_templates"
RESULT, SOURCE = "-1.webp", "-2.webp"  # endings: pictures of the template browser, which shows the first
ENCODERS = ("CLIPTextEncode",)  # types of nodes that hold a prompt


def template_pairs(count: int | None = None) -> FolderFiles:
    """The first ``count`` pairs, or all, as a folder would hold them.

    The result is the target, the source its condition, and the prompt in the template the caption; without a prompt
    it is the template's name.

    Raises:
        ValueError: The packages are missing, or hold no pair.
    """
    found = FolderFiles()
    for name, result, source in islice(_pairs(), count):
        entry = found.entries.setdefault(name, ClipFiles(text=_caption(name)))
        entry.clips = {TARGET: [result], "condition": [source]}
    if not found.entries:
        raise ValueError(
            f"the clips of ComfyUI's templates are not installed; install its package {PACKAGE} with the pictures, or "
            "use Dataset from Folder"
        )
    return found


def _pairs() -> Iterator[tuple[str, Path, Path]]:
    """Name, result and source of each template that has both as animations."""
    if importlib.util.find_spec(PACKAGE) is None:
        return
    import comfyui_workflow_templates as templates

    for template in sorted(templates.iter_templates(), key=lambda template: template.template_id):
        name, files = template.template_id, {asset.filename for asset in template.assets}
        if {f"{name}{RESULT}", f"{name}{SOURCE}"} <= files:
            result, source = (_asset(name, f"{name}{ending}") for ending in (RESULT, SOURCE))
            if result is not None and source is not None and is_animated(result) and is_animated(source):
                yield name, result, source


def _asset(name: str, file: str) -> Path | None:
    import comfyui_workflow_templates as templates

    try:
        return Path(templates.get_asset_path(name, file))
    except FileNotFoundError:  # its pictures come in packages of their own, which may be missing
        return None


def _caption(name: str) -> str:
    path = _asset(name, f"{name}.json")
    try:
        prompts = [] if path is None else list(_prompts(read_json(path)))
    except (OSError, ValueError, AttributeError, TypeError):
        prompts = []
    wanted = [text for title, text in prompts if "positive" in title] or [t for n, t in prompts if "negative" not in n]
    return max(wanted, key=len, default="") or name.replace("_", " ")


def _prompts(graph: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title in small letters and text of each node that holds a prompt, in subgraphs too."""
    for node in graph.get("nodes", []):
        values = node.get("widgets_values")
        if node.get("type") in ENCODERS and isinstance(values, list) and values and isinstance(values[0], str):
            yield (node.get("title") or "").lower(), values[0].strip()
    for subgraph in graph.get("definitions", {}).get("subgraphs", []):
        yield from _prompts(subgraph)
