"""The texts of locales/en in the page: the host has them, and nodes bear the names that stand there."""

from __future__ import annotations

import json
from pathlib import Path

from browser import Site
from host_pins import PACK_NAME

FOLDER = Path(__file__).parents[2] / "locales" / "en"
SHOWN = """kinds => Object.fromEntries(kinds.map(kind => {
    const type = LiteGraph.registered_node_types[kind], node = LiteGraph.createNode(kind)
    const label = socket => socket.label ?? socket.localized_name ?? socket.name
    return [kind, {
        display_name: node.title, description: type.nodeData.description,
        inputs: Object.fromEntries(node.inputs.map(input => [input.name, label(input)])),
        outputs: node.outputs.map(label) }] }))"""


def test_nodes_bear_the_names_of_the_locale_files(site: Site):
    written = json.loads((FOLDER / "nodeDefs.json").read_text(encoding="utf-8"))
    given = site.host.get("/i18n")["en"]
    assert {kind: given["nodeDefs"].get(kind) for kind in written} == written
    site.open_template("tic_ft_zero_shot_toy")
    shown = site.page.evaluate(SHOWN, list(written))
    for kind, texts in written.items():
        names = {name: texts["inputs"][name]["name"] for name in shown[kind]["inputs"]}
        outputs = [output["name"] for output in texts["outputs"].values()]
        whole = {"inputs": names, "outputs": outputs}
        assert shown[kind] == {key: texts[key] for key in ("display_name", "description")} | whole


def test_the_template_browser_calls_the_pack_by_its_name(site: Site):
    texts = json.loads((FOLDER / "main.json").read_text(encoding="utf-8"))
    site.open_template("tic_ft_zero_shot_toy")
    site.page.locator(".templates-tab-button").click()
    name = texts["templateWorkflows"]["category"][PACK_NAME]
    site.page.locator("[role=dialog] [role=button]").get_by_text(name, exact=True).wait_for()
