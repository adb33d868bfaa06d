"""The page's side panel beside nodes with rows of ours: it neither shows them nor changes their width."""

from __future__ import annotations

import pytest
from browser import Site
from training_page import TRAINER, training_workflow

ROWS = {"timeline": ".fewshot-timeline", "training_panel": ".fewshot-panel"}
TRAINERS = "const node = app.graph.nodes.find(n => n.type === kind);"
OPEN = f"""async kind => {{ {TRAINERS}
    app.canvas.ds.scale = 0.6
    app.canvas.ds.offset[0] = 150 - node.pos[0]
    app.canvas.ds.offset[1] = 100 - node.pos[1]
    app.canvas.selectItems([node])
    await app.extensionManager.setting.set('Comfy.RightSidePanel.IsOpen', true)
    app.canvas.setDirty(true, true) }}"""
CLOSE = "async () => { await app.extensionManager.setting.set('Comfy.RightSidePanel.IsOpen', false) }"
WIDE = f"kind => {{ {TRAINERS} for (const name of %s) node.widgets.find(w => w.name === name).width = 900 }}"
DRAWN = f"""kind => {{ {TRAINERS} return node.size[0] * app.canvas.ds.scale }}"""


@pytest.fixture
def beside(site: Site) -> Site:
    """A page with a trainer whose inputs the side panel shows."""
    site.open_graph(training_workflow(f"beside the panel {site.nodes2}", 3))
    site.page.evaluate(OPEN, TRAINER)
    panel = site.page.get_by_test_id("properties-panel")
    panel.get_by_text("learning_rate", exact=True).wait_for()
    site.settle()
    yield site
    site.page.evaluate(CLOSE)


def widths(site: Site) -> dict[str, float]:
    """Widths of the rows on the screen."""
    return {name: site.page.locator(row).bounding_box()["width"] for name, row in ROWS.items()}


def test_the_side_panel_leaves_out_what_only_the_node_can_show(beside):
    panel = beside.page.get_by_test_id("properties-panel")
    for name in ROWS:
        assert panel.get_by_text(name, exact=True).count() == 0


def test_no_row_is_wider_than_its_node_after_the_side_panel_was_open(beside):
    beside.page.evaluate(WIDE % list(ROWS), TRAINER)  # as older pages do, which know no rows to leave out
    beside.page.evaluate(CLOSE)
    beside.settle()

    def fit() -> bool:
        node = beside.page.evaluate(DRAWN, TRAINER)
        return all(0.8 * node < width <= node for width in widths(beside).values())

    beside.until(fit, "the rows are as wide as their node")
