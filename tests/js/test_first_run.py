"""What a new user does: open ComfyUI, choose a template, press Run, see a video. The README says how many clicks."""

from __future__ import annotations

from typing import Any

import pytest
from browser import MENU, MENU_BUTTON, Site
from patience import PATIENCE
from training_page import PARTS, Panel
from workflow_files.names import START, title_of

WORKFLOW = title_of(START)
CARD = f"[data-testid='template-workflow-{WORKFLOW}']"
FEW = {  # widgets of nodes and blocks, so that the test is quick; the rest is as the template has it
    "Pairs to learn from": {"count": 2},
    "TICFTTrain": {"steps": 3, "batch_size": 1},
    "Make a video": {"steps": 3},
}
SET = """few => { for (const node of app.graph.nodes)
    for (const [name, value] of Object.entries(few[node.subgraph?.name ?? node.type] ?? {}))
        node.widgets.find(w => w.name === name).value = value }"""
OFFERED = "FewShotVideo.FirstRunButton"  # a setting
BUTTON = "button:has-text('First run')"
SMALL = {"width": 1366, "height": 768}  # pixels: of many a laptop
SCALE = "() => app.canvas.ds.scale"
READABLE = 0.6  # the canvas draws no letters below 0.57; the 27 nodes of before opened at 0.26
PICTURED = """selector => {
    const card = document.querySelector(selector)
    card?.scrollIntoView()
    return [...card?.querySelectorAll('img') ?? []].some(picture => picture.naturalWidth > 100) }"""
# The part of a thing's area that lies in the window.
SEEN = """selectors => selectors.map(selector => Math.max(0, ...[...document.querySelectorAll(selector)].map(one => {
    const box = one.getBoundingClientRect()
    const across = Math.min(box.right, innerWidth) - Math.max(box.left, 0)
    const down = Math.min(box.bottom, innerHeight) - Math.max(box.top, 0)
    return across > 0 && down > 0 ? across * down / (box.width * box.height) : 0 })))"""
PLAYABLE = """() => [...document.querySelectorAll('video')].some(
    v => v.readyState > 0 && v.videoWidth === 64 && v.duration > 2.9 && v.duration < 3.1)"""


class Mouse:
    """Clicks on the page, and how many there were."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks = page, 0

    def click(self, selector: str) -> None:
        """Click the first visible thing of a selector, once it is there."""
        self.page.locator(selector).first.click(timeout=PATIENCE * 1000)
        self.clicks += 1


@pytest.fixture
def small_site(own_site: Site) -> Site:
    """A page of a small window."""
    own_site.page.set_viewport_size(SMALL)
    return own_site


def run_to_the_end(site: Site, mouse: Mouse) -> None:
    """From a workflow that has just been chosen to its video."""
    opened = "n => app.extensionManager.workflow.activeWorkflow.filename === n && app.graph.nodes.length > 4"
    site.page.wait_for_function(opened, arg=WORKFLOW)
    site.page.evaluate(SET, FEW)
    site.listen()
    mouse.click("[data-testid=queue-button]")
    assert site.wait_done() == "execution_success"
    site.page.wait_for_function(PLAYABLE)
    whole = ["video", ".fewshot-panel", *PARTS]
    site.sees(lambda: site.page.evaluate(SEEN, whole), [1] * len(whole))  # side by side
    assert Panel(site).shows(*PARTS)
    site.sees(Panel(site).reads_all_messages, True)


def test_a_newcomer_has_a_video_after_three_clicks(small_site: Site):
    site = small_site
    site.page.goto(site.host.url)  # the host greets newcomers with its templates
    mouse = Mouse(site.page)
    mouse.click("[role=dialog] [role=button]:has-text('FewShot Video')")
    first = site.page.locator("[data-testid^=template-workflow-]").first
    site.until(lambda: first.get_attribute("data-testid") == f"template-workflow-{WORKFLOW}", "the first run is first")
    mouse.click(CARD)
    site.until(lambda: site.page.evaluate(SCALE) > READABLE, "it opens at a size that can be read")
    run_to_the_end(site, mouse)
    assert mouse.clicks == 3


def greeted(site: Site) -> None:
    """Open the page as a newcomer does, and close the templates that it greets with."""
    site.page.goto(site.host.url)
    site.page.wait_for_selector("[role=dialog] [data-testid^=template-workflow-]")
    site.page.keyboard.press("Escape")
    site.page.wait_for_selector("[role=dialog]", state="detached")


def test_with_the_command_s_key_a_click_is_enough(small_site: Site):
    site = small_site
    greeted(site)
    site.page.keyboard.press("Control+Shift+F")
    mouse = Mouse(site.page)
    run_to_the_end(site, mouse)
    assert mouse.clicks == 1


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_a_button_beside_run_opens_it_with_one_click_and_then_is_gone(own_site: Site):
    site = own_site
    site.host.post("/api/settings", {OFFERED: True})
    greeted(site)
    mouse = Mouse(site.page)
    mouse.click(BUTTON)
    site.page.wait_for_function("n => app.extensionManager.workflow.activeWorkflow.filename === n", arg=WORKFLOW)
    assert mouse.clicks == 1  # and Run
    site.until(lambda: not site.host.get("/api/settings")[OFFERED], "the host knows that it was pressed")
    site.page.reload()
    site.wait_ready()
    site.page.locator("[data-testid=queue-button]").first.wait_for()
    assert site.page.locator(BUTTON).count() == 0


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_whoever_searches_for_start_here_finds_it(own_site: Site):
    site = own_site
    site.host.post("/api/settings", {"Comfy.TutorialCompleted": True})  # no newcomer, who is shown other templates
    site.open_template("tic_ft_zero_shot_toy")
    mouse = Mouse(site.page)
    mouse.click(".templates-tab-button")
    mouse.click("[role=dialog] input")
    site.page.keyboard.type("start here")
    # Pictures are loaded when they come into view, and the list is drawn anew while it narrows down.
    site.until(lambda: site.page.evaluate(PICTURED, CARD), "the card shows the template's picture")
    mouse.click(CARD)
    site.page.wait_for_function("n => app.extensionManager.workflow.activeWorkflow.filename === n", arg=WORKFLOW)
    assert mouse.clicks == 3  # and Run


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_the_menu_opens_it_with_two_clicks(site: Site):
    site.open_template("tic_ft_zero_shot_toy")
    mouse = Mouse(site.page)
    mouse.click(MENU_BUTTON)
    site.open_submenu("FewShot Video", "First run")
    mouse.click(f":is({MENU}) >> text='First run'")
    site.page.wait_for_function("n => app.extensionManager.workflow.activeWorkflow.filename === n", arg=WORKFLOW)
    assert mouse.clicks == 2  # and Run
