"""Where a LATENT of the graph comes from, asked before anything upstream of it has run."""

from __future__ import annotations

import sys
from typing import Any

FOREIGN = "custom_nodes"  # what the host calls the modules of packs, whose nodes may keep or read what they like


def comes_without(prompt: Any, node_id: str, name: str, origin: str) -> str:
    """The node that makes a LATENT, where it is certain that no ``origin`` had a hand in it; else an empty text.

    Only nodes of the host are certain: what another pack's node does with a LATENT is not known before it runs.

    Args:
        prompt: The graph that is being run, with ``get_node``.
        node_id: Whose input it is.
        name: Of the input.
        origin: Class of the node that is looked for.
    """
    wanted, seen = [(node_id, name)], set()
    maker = ""
    while wanted:
        reader, key = wanted.pop(0)
        link = prompt.get_node(reader)["inputs"].get(key)
        if not _is_link(link) or link[0] in seen:
            continue
        seen.add(link[0])
        node = prompt.get_node(link[0])
        if node["class_type"] == origin or _is_foreign(node["class_type"]):
            return ""
        further = [(link[0], k) for k, value in node["inputs"].items() if _is_link(value) and _gives(prompt, value)]
        wanted.extend(further)
        maker = maker or ("" if further else _title(node))
    return maker


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _class(name: str) -> Any:
    # The host's module is called as our folder is; where a node runs, the host has loaded its own.
    return sys.modules["nodes"].NODE_CLASS_MAPPINGS.get(name)


def _is_foreign(name: str) -> bool:
    found = _class(name)
    return found is None or str(getattr(found, "RELATIVE_PYTHON_MODULE", "")).startswith(FOREIGN)


def _gives(prompt: Any, link: list[Any]) -> bool:
    """Whether a link may carry a LATENT: a switch gives whatever it is given."""
    from comfy_api.latest import io

    found = _class(prompt.get_node(link[0])["class_type"])
    if found is None:
        return True
    kinds = found.RETURN_TYPES[link[1]].split(",") if link[1] < len(found.RETURN_TYPES) else ()
    return any(kind in (io.Latent.io_type, io.AnyType.io_type, io.MatchType.io_type) for kind in kinds)


def _title(node: dict[str, Any]) -> str:
    return node.get("_meta", {}).get("title") or node["class_type"]
