"""The page in further languages: a node, its tooltip, its timeline and its training panel speak that of ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, Site
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
SHOWN = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    return { title: node.title, steps: (w => w.label ?? w.name)(node.widgets.find(w => w.name === 'steps')) } }"""
LOOK = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    Object.assign(app.canvas.ds, { scale: 1, offset: [100 - node.pos[0], 80 - node.pos[1]] })
    app.canvas.setDirty(true, true) }"""
PLACE = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    const box = app.canvas.canvas.getBoundingClientRect()
    const widget = node.widgets.find(w => w.name === 'steps')
    const [x, y] = app.canvas.ds.convertOffsetToCanvas([node.pos[0] + 60, node.pos[1] + widget.last_y + 10])
    return [box.x + x, box.y + y] }"""


@pytest.fixture
def site(own_site: Site) -> Iterator[Site]:
    """A page that may be set to another language; afterwards it is English again."""
    yield own_site
    own_site.host.post("/api/settings", {"Comfy.Locale": "en"})


def written(language: str) -> dict[str, Any]:
    """The texts of the node in the files of a language."""
    return json.loads((FOLDER / language / "nodeDefs.json").read_text(encoding="utf-8"))[TRAINER]


def wait_said(site: Site, language: str) -> None:
    """Wait until panel and timeline are in a language, and the node too where its texts are translated."""
    for part, said in zip(PARTS, SAID[language], strict=True):
        place = site.page.locator(part).first
        site.until(lambda place=place, said=said: said in (place.text_content() or ""), f"{part}: {said}")
    if language in ("en", *LANGUAGES):
        texts = written(language)
        names = {"title": texts["display_name"], "steps": texts["inputs"]["steps"]["name"]}
        site.until(lambda: site.page.evaluate(SHOWN, TRAINER) == names, f"the node is called {names}")


def hover(site: Site, name: str) -> None:
    """Put the pointer on the widget of the steps."""
    if site.nodes2:
        site.page.locator("[data-node-id]").get_by_text(name, exact=True).first.hover()
        return
    x, y = site.page.evaluate(PLACE, TRAINER)
    site.page.mouse.move(x - 4, y)
    site.page.mouse.move(x, y)


def test_the_page_speaks_the_language_of_comfyui_and_follows_when_it_is_changed(site: Site):
    site.host.post("/api/settings", {"Comfy.Locale": LANGUAGES[0]})
    site.open_graph(training_workflow("languages", 3))
    wait_said(site, LANGUAGES[0])
    site.page.evaluate(LOOK, TRAINER)
    texts = written(LANGUAGES[0])["inputs"]["steps"]
    hover(site, texts["name"])
    site.page.get_by_text(texts["tooltip"], exact=True).wait_for(timeout=PATIENCE * 1000)
    for language in [code for code in SAID if code != LANGUAGES[0]]:
        site.page.evaluate("code => app.extensionManager.setting.set('Comfy.Locale', code)", language)
        wait_said(site, language)
