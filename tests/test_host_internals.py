"""The page of the host's internals names what is used, and the tests that would tell when it is gone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "host_internals.md").read_text(encoding="utf-8")
HOSTS = (
    "comfy",
    "comfy_execution",
    "comfyui_version",
    "comfyui_workflow_templates",
    "folder_paths",
    "latent_preview",
    "server",
)
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+?\.(?:py|test\.js))`", PAGE)))


def imported() -> set[str]:
    """Modules of the host that the nodes import, but the interface that is public."""
    found: set[str] = set()
    for path in (ROOT / "nodes").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in HOSTS}


@pytest.mark.parametrize("module", sorted(imported()))
def test_what_is_imported_of_the_host_is_on_the_page(module):
    assert f"`{module}`" in PAGE


@pytest.mark.parametrize("path", TESTS)
def test_the_tests_that_would_tell_are_there(path):
    assert (ROOT / path).is_file()


def test_every_row_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`tests/[^`]+` \|$", row)] == []


def scripts() -> str:
    """The pack's own JavaScript and style sheets, without what is vendored."""
    paths = [path for path in sorted((ROOT / "js").rglob("*")) if path.suffix in (".js", ".css")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if "vendor" not in path.parts)


USED = {  # of the page; and how it shows in a script or a style sheet
    "callbacks of a node": r"\bnode\.on[A-Z]\w+(?= =)",
    "methods of a node": r"\bnode\.((?:compute|set|add|get|is|hide)\w+)",
    "parts of the app": r"\bapp\.(?!js\b)\w+",
    "parts of the canvas": r"\bapp\.canvas\.\w+",
    "parts of the extension manager": r"\bextensionManager\.(\w+)",
    "calls of the api": r"\bapi\.(?!js\b|addEventListener|removeEventListener)\w+",
    "events of the api": r"\bapi\.addEventListener\('(?!fewshot)([\w:]+)'",
    "colours": r"var\((--(?!fewshot-)[\w-]+),? ?",
    "marks of elements": r"\[(data-(?:testid|node-id))|'(data-capture-wheel)'",
}


@pytest.mark.parametrize("what", USED)
def test_what_is_used_of_the_page_is_on_it(what):
    found = re.findall(USED[what], scripts())
    names = {name for match in found for name in ([match] if isinstance(match, str) else match) if name}
    names -= {"--swatch"}  # ours, set where it is used
    assert names, "nothing is found that way any more"
    section = PAGE.partition("## In the front end")[2]
    assert sorted(name for name in names if not re.search(rf"{re.escape(name)}\b", section)) == []
