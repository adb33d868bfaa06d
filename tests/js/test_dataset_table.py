"""The table of clips on Dataset from Folder in the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Site
from odd_clips import write_clip

CLIPS = 12  # more than fit
ROWS = ".fewshot-set tbody tr"


def write_set(folder: Path) -> None:
    """Clips of rising brightness, one after the other; the last one is too short and has an empty caption."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(CLIPS):
        count = 4 if i == CLIPS - 1 else 20
        frames = [np.full((48, 64, 3), 40 + 5 * i + 4 * t, np.uint8) for t in range(count)]
        write_clip(folder / f"clip_{i:02}.mp4", frames=frames)
        text = "\n" if i == CLIPS - 1 else f"[VIDEO] clip {i}, a long caption of many words " + "that goes on " * 12
        (folder / f"clip_{i:02}.txt").write_text(text)


@pytest.fixture
def workflow(host) -> dict[str, Any]:
    write_set(host.base / "input" / "pairs")
    values = ["pairs", 64, 48, 9, 10.0, 49, "one size", 16, "black", "tone-map", -1]
    node = {
        "id": 1, "type": "FewShotDatasetFolder", "pos": [40, 60], "size": [460, 320], "flags": {}, "order": 0,
        "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": values,
    }  # fmt: skip
    return {"version": 0.4, "nodes": [node], "links": [], "last_node_id": 1, "last_link_id": 0, "extra": {}}


def settled(site: Site) -> list[float]:
    """Height of the node and zoom of the canvas, once the page has ceased to change them."""
    seen: list[list[float]] = [[]]

    def rests() -> bool:
        site.settle()
        seen.append(site.page.evaluate("() => [app.graph.nodes[0].size[1], app.canvas.ds.scale]"))
        return seen[-1] == seen[-2]

    site.until(rests, "the node keeps its height")
    return seen[-1]


def test_a_long_set_scrolls_with_pictures_and_every_finding(site, workflow):
    page = site.open_graph(workflow).page
    page.evaluate(
        "() => { app.canvas.ds.scale = 0.7; app.canvas.ds.offset = [200, 80]; app.canvas.setDirty(true, true) }"
    )
    line = page.locator(".fewshot-set-line")
    site.until(lambda: "Run the node" in line.inner_text(), "what to do")
    site.queue()
    assert site.wait_done() == "execution_success"
    page.wait_for_function("n => document.querySelectorAll('.fewshot-set tbody tr').length === n", arg=CLIPS)
    site.sees(line.inner_text, "11 of 12 clips used, 1 left out, 11 to look at")
    site.sees(page.locator(f"{ROWS}:last-child .fewshot-set-reason").count, 2)
    site.until(lambda: page.locator(f"{ROWS}:first-child li").count() >= 2, "what is to be looked at")
    assert page.locator(f"{ROWS}:first-child img").evaluate(
        "async i => { await i.decode(); return [i.naturalWidth, i.naturalHeight] }"
    ) == [64, 48]
    box = page.locator(".fewshot-set-scroll")
    high = "e => e.scrollHeight > 1.5 * e.clientHeight && e.clientHeight > 100"
    site.until(lambda: box.evaluate(high), "the list is cut off, and not too small")
    node = settled(site)
    box.click()  # as in every list of Nodes 2.0: the wheel is the graph's until the list is focused
    page.mouse.wheel(0, 400)
    site.until(lambda: box.evaluate("e => e.scrollTop > 0"), "the list scrolls")
    assert settled(site) == node


def test_a_run_that_fails_leaves_no_table_standing(site, workflow):
    page = site.open_graph(workflow).page
    site.queue()
    site.wait_done()
    page.wait_for_function("() => document.querySelectorAll('.fewshot-set tbody tr').length")
    page.evaluate("() => { app.graph.nodes[0].widgets.find(w => w.name === 'frames').value = 4000 }")
    site.queue()
    assert site.wait_done() == "execution_error"
    page.wait_for_function("() => !document.querySelectorAll('.fewshot-set tbody tr').length")
    line = page.locator(".fewshot-set-line")
    site.until(lambda: "found no data set" in line.inner_text(), "why there is none")
