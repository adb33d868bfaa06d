"""Links lead somewhere, and the documents name what is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "js/docs/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_file_leads_to_one(name):
    text = read(name)
    if name.startswith("js/docs/"):  # ComfyUI looks for their pictures in another folder
        text = text.replace("](images/", "](../images/")
    assert [link for link in LINK.findall(text) if not ((ROOT / name).parent / unquote(link)).exists()] == []


def test_the_readme_lists_the_workflows_that_are_shipped_and_no_others():
    listed = set(re.findall(r"^\| `(.+ - .+)` \|", read("README.md"), re.MULTILINE))
    assert listed == {path.stem for path in (ROOT / "workflows").glob("*.json")}


def test_the_table_of_methods_says_how_the_names_of_their_workflows_begin():
    titles = [path.stem for path in (ROOT / "workflows").glob("*.json")]
    begin = re.findall(r"`([^`]+?) …`", read("README.md"))
    assert [title for title in titles if not title.startswith(tuple(begin))] == []
    assert [start for start in begin if not any(title.startswith(start) for title in titles)] == []


def test_every_script_the_readme_names_is_there():
    scripts = set(re.findall(r"scripts/\w+\.py", read("README.md")))
    assert {"scripts/demo.py", "scripts/test.py", "scripts/host.py"} <= scripts
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_of_the_pack_a_document_names_is_there(name):
    named = set(re.findall(r"`((?:methods|training|nodes|toy|tests|scripts)/[\w/]+\.py)`", read(name)))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_changelog_names_every_node():
    nodes = {path.parent.name for path in (ROOT / "js" / "docs").glob("*/en.md")}
    assert nodes
    assert [node for node in sorted(nodes) if f"`{node}`" not in read("CHANGELOG.md")] == []
