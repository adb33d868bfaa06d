"""Help pages in the page: the host finds a node's page and the picture in it."""

from __future__ import annotations

import help_pages
import pytest
from browser import Site
from host_setup.pins import PACK_NAME

SELECT = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    app.canvas.deselectAll(); app.canvas.selectNode(node); app.canvas.centerOnNode(node) }"""
LOADED = "() => document.querySelector('.node-help-content img')?.naturalWidth > 100"


@pytest.mark.parametrize("node_id", ["TICFTContext"])
def test_the_info_button_opens_the_page_with_its_picture(own_site: Site, node_id: str):
    site = own_site
    site.open_template("tic_ft_zero_shot_toy")
    site.page.evaluate(SELECT, node_id)
    site.page.locator("[data-testid=info-button]").first.click()
    title = help_pages.page(node_id).splitlines()[0].removeprefix("# ")
    site.page.locator(".node-help-content h1").get_by_text(title, exact=True).wait_for()
    site.page.wait_for_function(LOADED)


@pytest.mark.parametrize("nodes2", [False], ids=["classic"], indirect=True)  # the panel is the same
def test_a_moving_picture_plays_in_a_help_page(site: Site):
    site.open_template("aicl_toy")
    site.page.evaluate(SELECT, "AICLApply")
    site.page.locator("[data-testid=info-button]").first.click()
    picture = site.page.locator(".node-help-content img[src*=aicl_moving]")
    picture.scroll_into_view_if_needed()
    site.until(lambda: picture.evaluate("img => img.complete && img.naturalWidth > 100"), "it is loaded")
    first = picture.screenshot()
    site.until(lambda: picture.screenshot() != first, "it looks otherwise a while later", 30)


def test_the_host_serves_every_picture(host):
    for path in help_pages.PAGES.glob("*/en.md"):
        for picture in help_pages.pictures(path.read_text(encoding="utf-8")):
            place = picture.relative_to(help_pages.PAGES).as_posix()
            assert host.request(f"/extensions/{PACK_NAME}/docs/{place}")[8:12] == b"WEBP"
