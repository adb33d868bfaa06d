"""Where a LATENT of the graph comes from, asked before anything upstream of it has run."""

from __future__ import annotations

import sys
from typing import Any

LATENT, ANY = "LATENT", "*"
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
    wanted, seen, makers = [(node_id, name)], set(), []
    while wanted:
        link = prompt.get_node(wanted[0][0])["inputs"].get(wanted.pop(0)[1])
        if not _is_link(link) or link[0] in seen:
            continue
        seen.add(link[0])
        node = prompt.get_node(link[0])
        if node["class_type"] == origin or _is_foreign(node["class_type"]):
            return ""
        further = [key for key, value in node["inputs"].items() if _is_link(value) and _gives_latent(prompt, value)]
        wanted.extend((link[0], key) for key in further)
        if not further:
            makers.append(_title(node))
    return makers[0] if makers else ""


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _class(name: str) -> Any:
    # The host's module is called as our folder is; where a node runs, the host has loaded its own.
    return sys.modules["nodes"].NODE_CLASS_MAPPINGS.get(name)


def _is_foreign(name: str) -> bool:
    found = _class(name)
    return found is None or str(getattr(found, "RELATIVE_PYTHON_MODULE", "")).startswith(FOREIGN)


def _gives_latent(prompt: Any, link: list[Any]) -> bool:
    """Whether a link carries a LATENT, as far as the class of its node tells."""
    found = _class(prompt.get_node(link[0])["class_type"])
    types = () if found is None else found.RETURN_TYPES
    return found is None or (link[1] < len(types) and types[link[1]] in (LATENT, ANY))


def _title(node: dict[str, Any]) -> str:
    return node.get("_meta", {}).get("title") or node["class_type"]
