"""The texts of locales/en in the page: the host has them, and nodes bear the names that stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Site
from host_setup.pins import PACK_NAME

FOLDER = Path(__file__).parents[2] / "locales" / "en"
SHOWN = """kinds => Object.fromEntries(kinds.map(kind => {
    const type = LiteGraph.registered_node_types[kind], node = LiteGraph.createNode(kind)
    const label = socket => socket.label ?? socket.localized_name ?? socket.name
    return [kind, {
        display_name: node.title, description: type.nodeData.description,
        inputs: Object.fromEntries(node.inputs.map(input => [input.name, label(input)])),
        outputs: node.outputs.map(label) }] }))"""

REGISTERED = """() => Object.fromEntries(
    [...app.extensionManager.command.commands.map(({ id, label }) => [id, { label }]),
     ...Object.values(app.ui.settings.settingsLookup).map(({ id, name, tooltip }) => [id, { name, tooltip }])]
        .filter(([id]) => id.startsWith('FewShotVideo.')))"""


def read(name: str) -> dict[str, Any]:
    """A file of the English texts."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_nodes_bear_the_names_of_the_locale_files(site: Site):
    written = read("nodeDefs.json")
    given = site.host.get("/i18n")["en"]
    assert {kind: given["nodeDefs"].get(kind) for kind in written} == written
    site.open_template("tic_ft_zero_shot_toy")
    shown = site.page.evaluate(SHOWN, list(written))
    for kind, texts in written.items():
        names = {name: texts["inputs"][name]["name"] for name in shown[kind]["inputs"]}
        outputs = [output["name"] for output in texts["outputs"].values()]
        whole = {"inputs": names, "outputs": outputs}
        assert shown[kind] == {key: texts[key] for key in ("display_name", "description")} | whole


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_the_template_browser_calls_the_pack_by_its_name(site: Site):
    texts = read("main.json")
    site.open_template("tic_ft_zero_shot_toy")
    site.page.locator(".templates-tab-button").click()
    name = texts["templateWorkflows"]["category"][PACK_NAME]
    site.page.locator("[role=dialog] [role=button]").get_by_text(name, exact=True).wait_for()
    site.page.keyboard.press("Escape")
    site.page.locator("[role=dialog]").wait_for(state="detached")


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_commands_and_settings_are_registered_and_shown_with_the_texts_of_the_locale_files(own_site: Site):
    site = own_site

    def translated(route: Any) -> None:
        given = route.fetch().json()
        for kind, text in (("commands", "label"), ("settings", "name")):
            for key in written[kind]:
                given["en"][kind][key][text] = f"translated {key}"
        given["en"]["settingsCategories"]["Training panel"] = "translated heading"
        route.fulfill(json=given)

    written = {kind: read(f"{kind}.json") for kind in ("commands", "settings")}
    site.page.route("**/i18n", translated)
    site.open_template("tic_ft_zero_shot_toy")
    registered = lambda: {key.replace(".", "_"): texts for key, texts in site.page.evaluate(REGISTERED).items()}  # noqa: E731
    site.sees(registered, written["commands"] | written["settings"])
    site.page.evaluate("() => void app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
    dialog = site.page.locator("[role=dialog]")
    dialog.get_by_text("FewShot Video", exact=True).click()
    for text in ("translated heading", *(f"translated {key}" for key in written["settings"])):
        dialog.get_by_text(text, exact=True).wait_for()
    dialog.get_by_text("Keybinding", exact=True).click()
    dialog.get_by_placeholder("Search Keybindings...").fill("translated")
    for key in written["commands"]:
        dialog.get_by_text(f"translated {key}", exact=True).wait_for()
