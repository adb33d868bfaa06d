"""Every node has a help page, read from the source without a host; `tests/nodes` compares with the schemas."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import help_pages
import pytest

ROOT = Path(__file__).parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

from workflow_files.pictures import moving  # noqa: E402

LONGEST = 66  # lines; a page is read beside the graph
LARGEST = 60_000  # bytes of a picture
SECTIONS = ("Inputs", "Outputs", "Common mistakes", "Paper")


def node_classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Id and class of every node in ``nodes/*.py``."""
    for path in sorted((ROOT / "nodes").glob("*.py")):
        for cls in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(cls, ast.ClassDef):
                yield from ((node_id, cls) for node_id in schema_ids(cls))


def schema_ids(cls: ast.ClassDef) -> list[str]:
    """The ``node_id`` a class gives to its schema."""
    keywords = [word for node in ast.walk(cls) if isinstance(node, ast.Call) for word in node.keywords]
    return [ast.literal_eval(word.value) for word in keywords if word.arg == "node_id"]


def literal_inputs(cls: ast.ClassDef) -> list[str]:
    """Input ids written out in a class: ``X.Input("id", ...)``."""
    calls = [node for node in ast.walk(cls) if isinstance(node, ast.Call) and node.args]
    calls = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "Input"]
    names = [call.args[0] for call in calls]
    return [str(name.value) for name in names if isinstance(name, ast.Constant)]


NODES = dict(node_classes())


def test_nodes_are_found_in_the_source():
    assert {"TICFTContext", "FewShotToyVideoModel"} <= set(NODES)
    assert "target_frames" in literal_inputs(NODES["TICFTContext"])


def test_every_node_has_a_page_and_every_page_a_node():
    assert {path.parent.name for path in help_pages.PAGES.glob("*/en.md")} == set(NODES)


@pytest.mark.parametrize("node_id", NODES)
def test_a_page_has_a_row_for_every_input_written_in_the_source(node_id):
    rows = [row[0] for row in help_pages.table(help_pages.page(node_id), "input")]
    assert [name for name in literal_inputs(NODES[node_id]) if name not in rows] == []


@pytest.mark.parametrize("node_id", NODES)
def test_a_page_has_a_picture_that_is_small(node_id):
    pictures = help_pages.pictures(help_pages.page(node_id))
    assert help_pages.PAGES / "images" / f"{node_id}.webp" in pictures
    assert all(path.stat().st_size <= LARGEST for path in pictures)


def test_the_pictures_of_results_move_in_the_readme_and_in_help_pages():
    shown = set(re.findall(r"js/docs/images/(\w+_moving)\.webp", (ROOT / "README.md").read_text(encoding="utf-8")))
    paged = {path.stem for node_id in NODES for path in help_pages.pictures(help_pages.page(node_id))}
    assert len(shown) == 4
    assert shown <= paged
    assert shown == set(moving.NAMES.values())
    for name in {path.stem for path in (help_pages.PAGES / "images").glob("*_moving.webp")} | shown:
        data = (help_pages.PAGES / "images" / f"{name}.webp").read_bytes()
        assert data.count(b"ANMF") >= 20, name  # frames
        assert len(data) <= LARGEST


@pytest.mark.parametrize("node_id", NODES)
def test_a_page_says_what_the_node_does_and_what_goes_wrong_and_stays_short(node_id):
    text = help_pages.page(node_id)
    title, blank, summary, *_ = text.splitlines()
    assert title.startswith("# ")
    assert blank == ""
    assert len(summary) > 40
    assert [name for name in SECTIONS if not help_pages.section(text, name).strip()] == []
    assert len(text.splitlines()) <= LONGEST
