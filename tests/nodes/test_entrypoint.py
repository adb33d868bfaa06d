"""How the real ComfyUI gets the nodes, and what happens when it cannot have them."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import sys
import types
from collections.abc import Iterator

import pytest
from comfy_api.latest import ComfyExtension

import pack
from pack import nodes


def load_nodes() -> list[type]:
    """What ComfyUI's loader does with the pack."""
    extension = asyncio.run(pack.comfy_entrypoint())
    assert isinstance(extension, ComfyExtension)
    asyncio.run(extension.on_load())
    return asyncio.run(extension.get_node_list())


@pytest.fixture(autouse=True)
def _level_people_see(caplog) -> Iterator[None]:
    with caplog.at_level(logging.INFO, logger="pack"):
        yield


def test_the_entrypoint_gives_every_node_of_every_module_once(caplog):
    found = load_nodes()
    listed = [node for name in nodes.NODE_MODULES for node in sys.modules[f"pack.nodes.{name}"].NODES]
    ids = [node.GET_SCHEMA().node_id for node in found]
    assert found == listed
    assert len(found) > 0
    assert len(set(ids)) == len(ids)
    assert caplog.records == []


def test_every_node_sits_in_our_category_and_explains_itself():
    for node in load_nodes():
        schema = node.GET_SCHEMA()
        assert schema.category.startswith("FewShot Video/"), schema.node_id
        assert schema.display_name, schema.node_id
        assert schema.description, schema.node_id
        assert all(field.tooltip for field in schema.inputs), schema.node_id


@pytest.mark.parametrize("version", ["0.26.9", "0.3.64", "unknown"])
def test_a_host_too_old_gets_no_nodes_and_one_line(monkeypatch, caplog, version):
    monkeypatch.setattr(nodes, "host_version", lambda: version)
    assert load_nodes() == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "0.27.0 or newer" in caplog.records[0].getMessage()
    assert version in caplog.records[0].getMessage()


@pytest.mark.parametrize("version", ["0.27.0", "0.30.0", "0.100.0rc1", "1.2"])
def test_the_oldest_host_and_every_newer_one_get_nodes(version):
    assert nodes.is_supported(version)


def test_a_module_that_is_not_there_gives_no_nodes_and_one_line(monkeypatch, caplog):
    monkeypatch.setattr(nodes, "NODE_MODULES", (*nodes.NODE_MODULES, "no_such_module"))
    assert load_nodes() == []
    assert len(caplog.records) == 1
    assert "no_such_module" in caplog.records[0].getMessage()
    assert "\n" not in caplog.records[0].getMessage()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, caplog):
    def fail(*_args):
        raise ModuleNotFoundError("No module named 'einops'", name="einops")

    monkeypatch.setattr(nodes.importlib, "import_module", fail)
    assert load_nodes() == []
    assert len(caplog.records) == 1
    assert "'einops'" in caplog.records[0].getMessage()
    assert "pip install -r requirements.txt" in caplog.records[0].getMessage()


@pytest.mark.parametrize("gone", [("av",), ("diffusers", "av")])
def test_a_package_that_only_a_run_would_miss_is_named_at_the_start(monkeypatch, caplog, gone):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in gone else find(name, *rest))
    for name in gone:
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert load_nodes() == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"{', '.join(map(repr, gone))}: run `pip install" in caplog.records[0].getMessage()


def test_what_is_checked_at_the_start_is_what_the_requirements_ask_for(root):
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = [re.split(r"[<>=]", line)[0].strip() for line in lines if line and not line.startswith("#")]
    assert list(nodes.REQUIREMENTS) == asked


def test_a_schema_the_host_refuses_gives_no_nodes_and_one_line(monkeypatch, caplog):
    class Broken:
        @classmethod
        def GET_SCHEMA(cls) -> None:  # noqa: N802  the host's name
            raise TypeError("unexpected keyword")

    module = types.ModuleType("pack.nodes.broken")
    module.NODES = [Broken]
    monkeypatch.setitem(sys.modules, "pack.nodes.broken", module)
    monkeypatch.setattr(nodes, "NODE_MODULES", ("broken",))
    assert load_nodes() == []
    assert len(caplog.records) == 1
    assert "unexpected keyword" in caplog.records[0].getMessage()
