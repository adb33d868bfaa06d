"""The layout of the project, and the few files that must stay as they are."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import import_rules
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None

ROOT = Path(__file__).parents[1]
FILES = ("__init__.py", "requirements.txt", "pyproject.toml", ".comfyignore", ".gitignore", ".ci/run")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md")
SCRIPTS = ("scripts/demo.py", "scripts/test.py", "scripts/host.py", "scripts/bench")
PLACES = ("methods", "training", "nodes/host", "toy", "workflows", "subgraphs", "js/docs", "locales", "tests")


def requirement_lines() -> list[str]:
    """The requirements without comments."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("place", [*FILES, *DOCUMENTS, *SCRIPTS, *PLACES])
def test_the_agreed_place_exists(place):
    assert (ROOT / place).exists()


def test_requirements_are_the_agreed_packages_with_lower_bounds_only():
    names = [re.split(r"[<>=!~]", line)[0] for line in requirement_lines()]
    assert sorted(names) == ["av", "diffusers", "einops", "numpy", "safetensors", "torch"]
    assert "torch" in requirement_lines()  # no version: the host owns it
    assert all(re.fullmatch(r"\w+(>=[\d.]+)?", line) for line in requirement_lines())


@pytest.mark.skipif(tomllib is None, reason="Python 3.10 has no TOML reader")
def test_the_project_file_agrees_with_the_requirements_and_names_the_oldest_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dependencies"] == requirement_lines()
    assert project["project"]["name"] == "fewshot-video"
    assert project["tool"]["comfy"]["requires-comfyui"] == ">=0.27.0"
    assert "web" not in project["tool"]["comfy"]  # WEB_DIRECTORY alone, or the front end loads all twice


def test_the_root_module_holds_the_web_directory_and_the_entrypoint_only():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    kinds = [type(node).__name__ for node in tree.body]
    assert kinds == ["Expr", "ImportFrom", "Assign", "AsyncFunctionDef"]
    assert 'WEB_DIRECTORY = "./js"' in ast.unparse(tree).replace("'", '"')
    assert len(tree.body[-1].body) <= 3


def test_every_node_module_of_the_menu_is_a_file_and_the_other_way_round():
    from pack import nodes

    files = {path.stem for path in (ROOT / "nodes").glob("*.py")} - {"__init__", "sockets"}
    assert {*nodes.NODE_MODULES} == files
    assert len(nodes.NODE_MODULES) == len(files)


@pytest.mark.parametrize(
    "path",
    [*import_rules.pack_files(ROOT), *(p.relative_to(ROOT).as_posix() for p in ROOT.glob("scripts/**/*.py"))],
)
def test_no_file_is_longer_than_300_lines(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 300


def test_no_folder_has_more_than_20_modules():
    rooms = ("nodes", "training", "methods", "toy", "scripts", "tests")
    folders = {path.parent for room in rooms for path in (ROOT / room).rglob("*.py")}
    counts = {str(folder.relative_to(ROOT)): len([*folder.glob("[!_]*.py")]) for folder in folders}
    assert {name: count for name, count in counts.items() if count > 20} == {}


def test_what_users_do_not_need_is_kept_out_of_what_they_install():
    ignored = (ROOT / ".comfyignore").read_text(encoding="utf-8").split()
    assert {"scripts/", "tests/"} <= set(ignored)
