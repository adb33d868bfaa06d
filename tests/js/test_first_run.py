"""What a new user does: open ComfyUI, choose a template, press Run, see a video. The README says how many clicks."""

from __future__ import annotations

from typing import Any

import pytest
from browser import PATIENCE, Site

WORKFLOW = "tic_ft_image_to_video_toy"
FEW = {  # widgets of node types, so that the test is quick; the rest is as the template has it
    "FewShotToyClips": {"count": 2},
    "TICFTTrain": {"steps": 3, "batch_size": 1},
    "KSampler": {"steps": 3},
}
SET = """few => { for (const node of app.graph.nodes)
    for (const [name, value] of Object.entries(few[node.type] ?? {}))
        node.widgets.find(w => w.name === name).value = value }"""
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


def choose_and_run(site: Site, mouse: Mouse) -> None:
    """From the open template browser to the end of a run."""
    mouse.click("[role=dialog] [role=button]:has-text('FewShot Video')")
    mouse.click(f"[data-testid=template-workflow-{WORKFLOW}]")
    opened = "n => app.extensionManager.workflow.activeWorkflow.filename === n && app.graph.nodes.length > 10"
    site.page.wait_for_function(opened, arg=WORKFLOW)
    site.page.evaluate(SET, FEW)
    site.listen()
    mouse.click("[data-testid=queue-button]")
    assert site.wait_done() == "execution_success"


def test_a_newcomer_has_a_video_after_three_clicks(own_site: Site):
    site = own_site
    site.page.goto(site.host.url)  # the host greets newcomers with its templates
    mouse = Mouse(site.page)
    choose_and_run(site, mouse)
    site.page.wait_for_function(PLAYABLE)
    assert mouse.clicks == 3


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # there is no node to be seen
def test_whoever_has_been_here_needs_one_click_more(own_site: Site):
    site = own_site
    site.open_template("tic_ft_zero_shot_toy")
    mouse = Mouse(site.page)
    mouse.click(".templates-tab-button")
    mouse.click("[role=dialog] [role=button]:has-text('FewShot Video')")
    card = site.page.locator(f"[data-testid=template-workflow-{WORKFLOW}]")
    card.scroll_into_view_if_needed()  # pictures are loaded when they come into view
    picture = card.locator("img").first
    site.until(lambda: picture.evaluate("i => i.naturalWidth") > 100, "the card shows the template's picture")
    mouse.click(f"[data-testid=template-workflow-{WORKFLOW}]")
    site.page.wait_for_function("n => app.extensionManager.workflow.activeWorkflow.filename === n", arg=WORKFLOW)
    assert mouse.clicks == 3  # and Run
