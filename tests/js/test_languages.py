"""The page in further languages: a node, its tooltip, its timeline, panel and help page speak that of ComfyUI.

A page is opened anew for each language. When the language is changed in an open page, the front end (1.47) asks for the
names of nodes while it still loads the language's texts: whichever comes first decides whether the names follow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import help_pages
import pytest
from browser import TRIES, Site, came_about
from patience import PATIENCE
from training_page import TRAINER, training_workflow
from translate import LANGUAGES

FOLDER = Path(__file__).parents[2] / "locales"
SAID = {  # in the panel (a button, its line), the timeline (a button, its sum), all of this node
    "zh": ("停止并保留", "还没有训练", "任务默认值", "条件 + 3 缓冲 + 目标 latent"),
    "ja": ("停止して保存", "まだ学習していません", "タスクの既定値", "バッファ 3 + ターゲット latent"),
    "ko": ("중지하고 저장", "아직 학습이 없습니다", "작업 기본값", "버퍼 3 + 타깃 latent"),
    "en": ("Stop and keep", "No run yet", "Task's own", "3 buffer + target latents"),
}
PARTS = (".fewshot-panel button[data-command=stop]", ".fewshot-state", ".fewshot-reset", ".fewshot-summary")
# New nodes bear the name that their type has. At the start, too, the front end asks for it while it loads the language.
TITLE = """async ([kind, name]) => {
    const title = () => LiteGraph.registered_node_types[kind]?.title
    if (title() !== name) await app.extensionManager.command.execute('Comfy.RefreshNodeDefinitions')
    return title() }"""
SHOWN = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    const label = part => part.label ?? part.localized_name ?? part.name
    return { title: node.title, widgets: Object.fromEntries(node.widgets.map(w => [w.name, label(w)])),
             outputs: node.outputs.map(label) } }"""
LOOK = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    Object.assign(app.canvas.ds, { scale: 1, offset: [100 - node.pos[0], 280 - node.pos[1]] })
    app.canvas.setDirty(true, true) }"""
PLACE = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    const box = app.canvas.canvas.getBoundingClientRect()
    const widget = node.widgets.find(w => w.name === 'steps')
    const [x, y] = app.canvas.ds.convertOffsetToCanvas([node.pos[0] + 60, node.pos[1] + widget.last_y + 10])
    return [box.x + x, box.y + y] }"""
CUT = """() => [...document.querySelectorAll('.fewshot-kept')]
    .filter(line => line.scrollWidth > line.clientWidth).map(line => line.textContent)"""
SELECT = """kind => { app.canvas.deselectAll(); app.canvas.selectNode(app.graph.nodes.find(n => n.type === kind)) }"""


@pytest.fixture
def site(own_site: Site) -> Iterator[Site]:
    """A page that may be set to another language; afterwards it is English again."""
    yield own_site
    own_site.host.post("/api/settings", {"Comfy.Locale": "en"})


def written(language: str) -> dict[str, Any]:
    """The texts of the node in the files of a language."""
    return json.loads((FOLDER / language / "nodeDefs.json").read_text(encoding="utf-8"))[TRAINER]


def open_in(site: Site, language: str) -> dict[str, Any]:
    """Open the page anew in a language, with a trainer in the graph; gives the node's texts in the files."""
    site.host.post("/api/settings", {"Comfy.Locale": language})
    texts = written(language)
    site.load("tic_ft_zero_shot_toy")
    named = [TRAINER, texts["display_name"]]
    site.until(lambda: site.page.evaluate(TITLE, named) == named[1], f"the type is called {named[1]}")
    site.open_graph(training_workflow("languages", 3))
    site.page.evaluate(LOOK, TRAINER)  # what is out of sight a newer front end leaves out
    return texts


def wait_said(site: Site, language: str) -> None:
    """Wait until panel and timeline are in a language."""
    for part, said in zip(PARTS, SAID[language], strict=True):
        place = site.page.locator(part).first
        site.until(lambda place=place, said=said: said in (place.text_content() or ""), f"{part}: {said}")


def hover(site: Site, name: str) -> None:
    """Put the pointer on the widget of the steps."""
    if site.nodes2:
        came_about(site.page.locator("[data-node-id]").get_by_text(name, exact=True).first.hover)
        return
    x, y = site.page.evaluate(PLACE, TRAINER)
    site.page.mouse.move(x - 4, y)
    site.page.mouse.move(x, y)


def is_shown_at(site: Site, name: str, tooltip: Any) -> bool:
    """Whether a tooltip comes where the pointer rests a while; what was drawn anew under it needs it again."""
    hover(site, name)
    site.page.wait_for_timeout(1500)
    return tooltip.count() > 0 and tooltip.first.is_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_opened_in_a_language_speaks_it(site: Site, language: str):
    texts = open_in(site, language)
    wait_said(site, language)
    site.sees(lambda: site.page.evaluate(SHOWN, TRAINER)["title"], texts["display_name"])
    shown = site.page.evaluate(SHOWN, TRAINER)
    names = {name: texts["inputs"][name]["name"] for name in shown["widgets"] if name in texts["inputs"]}
    assert len(names) > 8
    assert shown["widgets"] | names == shown["widgets"]
    assert shown["outputs"] == [output["name"] for output in texts["outputs"].values()]
    site.sees(lambda: site.page.evaluate(CUT), [])
    tooltip = site.page.get_by_text(texts["inputs"]["steps"]["tooltip"], exact=True)
    site.until(lambda: is_shown_at(site, names["steps"], tooltip), "the tooltip", TRIES)
    site.page.evaluate(SELECT, TRAINER)
    site.page.locator("[data-testid=info-button]").first.click()
    own = help_pages.PAGES / TRAINER / f"{language}.md"
    page = own if own.is_file() else own.with_name("en.md")
    title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    site.page.locator(".node-help-content h1").get_by_text(title, exact=True).wait_for(timeout=PATIENCE * 1000)


def test_panel_and_timeline_follow_when_the_language_is_changed(site: Site):
    open_in(site, "en")
    wait_said(site, "en")
    site.page.evaluate("code => app.extensionManager.setting.set('Comfy.Locale', code)", "ja")
    wait_said(site, "ja")
