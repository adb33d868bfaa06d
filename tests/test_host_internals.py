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
