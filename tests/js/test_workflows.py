"""Workflows in the page: they open with no red node, are saved as they were opened, and make the right prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import workflow_checks as workflows
from browser import OPEN, Site
from example_files import write_examples
from host_setup.pins import PACK_NAME
from host_setup.server import Server
from workflow_files.names import title_of

UNKNOWN = "() => app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type]).map(n => n.type)"
RED = "() => app.graph.nodes.filter(n => n.has_errors).map(n => Number(n.id))"
BOXES = """async () => {  // once drawn, nodes are as high as what they show
    const look = async () => {
        for (let i = 0; i < 3; i++) await new Promise(done => requestAnimationFrame(done))
        return JSON.stringify(app.graph.nodes.map(n => ({ id: Number(n.id), pos: [...n.pos], size: [...n.size] }))) }
    let before = '', boxes = await look()
    for (let i = 0; i < 100 && boxes !== before; i++) [before, boxes] = [boxes, await look()]
    return JSON.parse(boxes) }"""


@pytest.fixture
def input_files(host: Server) -> Iterator[None]:
    """The files that workflows name as examples; models are not there, as with a new user."""
    made = write_examples(host.base / "input")
    yield
    for path in made:
        path.unlink()


def names_a_missing_file(node: dict[str, Any]) -> bool:
    """Whether a node of a file asks for a model that has to be downloaded or trained first."""
    return any(text in workflows.MODEL_FILES for text in workflows.texts_of(node["widgets_values"]))


def as_saved(node: dict[str, Any]) -> dict[str, Any]:
    """What the page must not change of a node: all but its height, which it fits to what the node shows."""
    kept = {key: node.get(key) for key in ("type", "title", "pos", "flags", "mode", "order", "color")}
    kept["widgets_values"] = node.get("widgets_values") or []  # newer pages leave out what is empty
    wired = [socket for socket in node["inputs"] if socket["link"] is not None]
    return kept | {
        "width": node["size"][0],
        "inputs": [(socket["name"], socket["type"], socket["link"]) for socket in wired],
        "outputs": [(socket["name"], socket["type"], socket["links"]) for socket in node["outputs"]],
    }


def changes(saved: workflows.Workflow, file: workflows.Workflow) -> list[str]:
    """What the page has made of a workflow that differs from its file."""
    ours, theirs = ({str(node["id"]): as_saved(node) for node in graph["nodes"]} for graph in (file, saved))
    found = [f"node {key}: {ours.get(key)} became {theirs.get(key)}" for key in sorted({*ours, *theirs})
             if ours.get(key) != theirs.get(key)]  # fmt: skip
    if sorted(saved["links"]) != sorted(file["links"]):  # their order means nothing, and newer pages have another
        found.append(f"links {file['links']} became {saved['links']}")
    return found + [key for key in ("groups", "id", "version") if saved[key] != file[key]]


def known(node: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a node of a prompt, without what the host's own preview of a clip adds."""
    return {name: value for name, value in node["inputs"].items() if name != "video-preview"}


def problems(site: Site, name: str, schemas: dict[str, Any]) -> list[str]:
    """Open a workflow; whatever is wrong with it in the page."""
    file = workflows.load(name)
    page = json.loads(site.page.evaluate(OPEN, [title_of(name), PACK_NAME]))
    found = [f"unknown node {kind}" for kind in site.page.evaluate(UNKNOWN)]
    red = {node["id"] for node in file["nodes"] if names_a_missing_file(node)}
    found += [f"node {number} is red" for number in set(site.page.evaluate(RED)) - red]
    found += [f"nodes {pair} lie on each other" for pair in workflows.overlaps({"nodes": site.page.evaluate(BOXES)})]
    found += changes(page["workflow"], file)
    prompt = {key: {"class_type": node["class_type"], "inputs": known(node)} for key, node in page["output"].items()}
    valid = workflows.to_prompt(file, schemas)  # which tests/nodes gives to the host's validation
    found += [f"{prompt.get(key)} is not the valid {valid.get(key)}" for key in sorted({*prompt, *valid})
              if prompt.get(key) != valid.get(key)]  # fmt: skip
    return [f"{name}: {problem}" for problem in found]


TAKE = """([was, is]) => {  // as Ctrl+B does with the nodes of a box
    const bypass = ids => { app.canvas.deselectAll()
        app.canvas.selectItems(app.graph.nodes.filter(n => ids.includes(Number(n.id))))
        return app.extensionManager.command.execute('Comfy.Canvas.ToggleSelectedNodes.Bypass') }
    return bypass(was).then(() => bypass(is)) }"""


@pytest.mark.usefixtures("input_files")
def test_the_bypassed_step_of_a_template_takes_the_place_of_the_one_before_it(own_site: Site):
    file = workflows.load("aicl_wan21_1_3b")
    site = own_site.open_template("aicl_wan21_1_3b")
    steps = [[node["id"] for node in step] for step in workflows.steps_of(file)]
    number = next(i for i, group in enumerate(file["groups"]) if "Or " in group["title"])
    site.page.evaluate(TAKE, steps[number - 1 : number + 1])
    prompt = {
        key: {"class_type": node["class_type"], "inputs": known(node)} for key, node in site.graph()["output"].items()
    }
    assert prompt == workflows.to_prompt(workflows.with_other_step(file), site.host.object_info())
    assert "AICLTrain" not in {node["class_type"] for node in prompt.values()}


@pytest.mark.usefixtures("input_files")
def test_every_template_opens_is_saved_as_it_was_and_makes_a_valid_prompt(own_site: Site):
    site = own_site  # a page knows the input files that were there when it was loaded
    site.open_template(workflows.NAMES[0])  # one page for all
    schemas = site.host.object_info()
    found = {name: problems(site, name, schemas) for name in workflows.NAMES}
    assert "\n".join(problem for listed in found.values() for problem in listed) == ""
    assert len(found) == len(workflows.NAMES) > 20
