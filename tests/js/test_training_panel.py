"""The training panel in the page, while the toy model trains and afterwards."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import Site
from patience import PATIENCE
from training_page import (
    MOTION_TRAINER,
    PARTS,
    PREVIEWS,
    STEPS,
    TRAINER,
    Panel,
    motion_workflow,
    tell,
    training_workflow,
)

MANY = 5000  # steps; such a run is stopped
STEP = r"^Training: step ([1-9]\d*) of 5000"
OTHER_WORKFLOW = "11111111-2222-3333-4444-555555555555"
SEED = 5  # place among the trainer's widget values
LOWER = 300  # pixels that the parts of a panel save side by side
WIDE = """kind => { const node = app.graph.nodes.find(n => n.type === kind)
    node.setSize([840, node.size[1]])
    node.setSize([840, node.computeSize()[1]])
    app.canvas.setDirty(true, true) }"""


def step_of(panel: Panel) -> int:
    """The step that a panel shows of a run that goes on, once it shows one."""
    found = re.match(STEP, panel.wait_state(STEP))
    assert found
    return int(found[1])


@pytest.fixture
def second_tab(site: Site) -> Any:
    """Another page of the same browser, whose errors count too."""
    other = Site(site.page.context.new_page(), site.host, site.nodes2)
    yield other
    other.page.close()
    assert other.errors == []


def stop_with_keyboard(panel: Panel) -> None:
    """Press the button as somebody without a mouse does."""
    panel.button("stop").focus()
    panel.page.keyboard.press("Enter")


def test_a_run_is_followed_in_two_tabs_through_a_reload_until_it_is_stopped_and_goes_on(site, second_tab):
    name = f"followed {site.nodes2}"
    workflow = training_workflow(name, MANY, validate_every=2)
    panel = Panel(site.open_graph(workflow))
    panel.wait_state("No run yet")
    site.queue()
    panel.wait_state(r"^Training: step [3-9]\d* of 5000, .* left$")
    site.until(lambda: "–" not in panel.figures().values(), "every figure is there")
    figures = panel.figures()
    assert set(figures) == {"loss", "smoothed", "time left", "per step", "peak memory", "learning rate"}
    assert figures["learning rate"] == "0.001"
    site.sees(lambda: panel.messages()[-1:], ["started, 5000 steps"])
    site.until(lambda: panel.drawn() > 200, "the curve is drawn")

    other = Panel(second_tab.open_graph(workflow))
    assert step_of(other) >= 3

    site.open_graph(workflow, again=True)
    before = step_of(panel)
    firsts = ("step 0", "step 1 ")  # what was missed came by the route
    site.until(lambda: panel.read_first().startswith(firsts), "the curve begins where the run began")
    site.until(lambda: step_of(panel) > before, "the run goes on in the page that was loaded again")

    panel.button("sample").click()
    for shown in (panel, other):
        shown.element.locator(".fewshot-thumb video").first.wait_for(timeout=PATIENCE * 1000)
    site.until(lambda: panel.answer() == "", "the preview is there, so nothing more is said of it")
    panel.button("save").click()
    panel.wait_message("^saved")
    site.until(lambda: panel.answer() == "", "the state is saved, so nothing more is said of it")
    stop_with_keyboard(panel)
    for shown in (panel, other):
        shown.wait_state("^Stopped: step")
        site.until(shown.button("stop").is_disabled, "a run that has stopped takes no commands")
    site.sees(panel.answer, "")
    assert re.match(rf"stopped after \d+ steps; the LoRA is {name}", panel.wait_message("^stopped after"))

    site.queue()
    panel.wait_message(r"^resumed at \d+ of 5000")
    panel.wait_state(STEP)
    panel.button("stop").click()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Stopped: step")


def test_a_finished_run_is_shown_when_the_host_serves_it_from_its_cache_and_beside_others(site):
    workflow = training_workflow(f"cached {site.nodes2}", 3)
    panel = Panel(site.open_graph(workflow))
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")

    site.open_graph({**workflow, "id": OTHER_WORKFLOW})  # where the run was not ordered
    panel.wait_state("^No run yet")
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")
    site.until(lambda: panel.drawn() > 100, "the curve is drawn")

    trainer = next(node for node in workflow["nodes"] if node["type"] == TRAINER)
    trainer["widgets_values"][SEED] = 1
    trainer["widgets_values"][-4] = f"beside {site.nodes2}"
    site.open_graph(workflow)
    panel.wait_state("^Finished: step 3 of 3$")  # the run of this node
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")
    site.until(lambda: panel.runs() and panel.runs()[0].startswith("beside"), "the new run is listed first")
    alone = panel.drawn()
    panel.overlay(1)
    site.until(lambda: panel.drawn() > alone, "the curve of the earlier run is laid over the new one's")


BLUES = {"dark": "#3b82f6", "light": "#1d4ed8"}  # of the smoothed loss


@pytest.mark.parametrize(
    ("palette", "other", "nodes2"),
    [("dark", "light", False), ("light", "dark", True)],
    ids=["dark", "light"],
    indirect=["nodes2"],
)
def test_the_curves_have_the_colours_of_the_palette(own_site, palette, other):
    site = own_site
    site.host.post("/api/settings", {"Comfy.ColorPalette": palette})
    try:
        panel = Panel(site.open_graph(training_workflow(f"colours {site.nodes2}", 20)))
        site.queue()
        assert site.wait_done() == "execution_success"
        panel.wait_state("^Finished: step 20 of 20$")
        site.until(lambda: panel.has_colour(BLUES[palette]), f"a curve in {BLUES[palette]}")
        assert not panel.has_colour(BLUES[other])
        assert not panel.has_colour("#000000")  # what a canvas makes of a colour it does not know
        site.sees(panel.bar_colour, BLUES[palette])
    finally:
        site.host.post("/api/settings", {"Comfy.ColorPalette": "dark"})


ONE_RUN = re.compile(r"/fewshot_video/runs/[^/]+$")  # the address that tells of one run


def test_an_answer_from_before_the_end_of_a_run_does_not_stay(site):
    held = []
    workflow = training_workflow(f"late {site.nodes2}", MANY)
    panel = Panel(site.open_graph(workflow))
    site.page.route(ONE_RUN, lambda route: hold(route, held, workflow["id"]))
    site.queue()
    site.until(lambda: held, "the page asks for the run while it goes on")
    ((route, answer),) = held
    site.host.post(f"{urlsplit(answer.url).path}/stop", {})  # the page's own button waits for the answer
    assert site.wait_done() == "execution_success"
    route.fulfill(response=answer)
    site.page.unroute(ONE_RUN)  # not sooner: it answers what is held
    site.settle()
    panel.wait_state(r"^Stopped: step \d+ of 5000$")


def hold(route: Any, held: list[Any], workflow: str) -> None:
    """Have the host answer a request now, and keep the first answer about a run of the workflow that goes on.

    A panel of an earlier test may still ask for that test's run, which has just ended.
    """
    answer = route.fetch()
    told = answer.json()
    if not held and told.get("live") and told.get("workflow") == workflow:
        held.append((route, answer))
    else:
        route.fulfill(response=answer)


def test_the_panel_leaves_the_workflow_as_it_is(open_template):
    site = open_template("tic_ft_train_toy")
    site.page.wait_for_selector(".fewshot-panel")
    widgets = "k => app.graph.nodes.find(n => n.type === k).widgets.map(w => w.name)"
    assert site.page.evaluate(widgets, TRAINER)[-2:] == ["timeline", "training_panel"]  # behind all that is saved
    prompt = site.graph()["output"]
    (trainer,) = [node for node in prompt.values() if node["class_type"] == TRAINER]
    assert "training_panel" not in trainer["inputs"]
    assert len(site.node(TRAINER)["widgets_values"]) == 13


def test_undo_leaves_the_panel_as_it_is_and_alive(site):
    panel = Panel(site.open_graph(training_workflow(f"undone {site.nodes2}", 3, sample_every=1)))
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")
    panel.element.locator("input[name=buckets]").check()
    levels = panel.element.locator(".fewshot-levels")
    site.until(lambda: bool(re.search(r"\d\.\d\d-\d\.\d\d", levels.inner_text())), "losses by noise level")
    panel.element.locator(".fewshot-thumb").first.click()
    site.until(lambda: chosen(panel) == ["step 1", "step 3"], "two previews to compare")

    set_steps(site, 4)
    panel.element.locator(".fewshot-thumb").first.focus()
    site.page.keyboard.press("Control+z")  # also with the keyboard in the panel
    site.until(lambda: site.node(TRAINER)["widgets_values"][STEPS] == 3, "the input is as it was")
    site.settle()
    shown = "k => app.graph.nodes.find(n => n.type === k).widgets.at(-1).element.isConnected"
    site.until(lambda: site.page.evaluate(shown, TRAINER), "the panel is in the page")
    panel.wait_state("^Finished: step 3 of 3$")
    site.until(panel.element.locator("input[name=buckets]").is_checked, "losses by noise level are still shown")
    site.sees(lambda: chosen(panel), ["step 1", "step 3"])

    set_steps(site, 4)
    trainer = site.node(TRAINER)
    assert trainer["widgets_values"][STEPS] == 4
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 4 of 4$")


def test_previews_news_and_the_list_of_runs_are_seen_without_scrolling(site):
    panel = Panel(site.open_graph(training_workflow(f"seen {site.nodes2}", 3, sample_every=1)))
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")
    panel.element.locator(".fewshot-thumb").first.wait_for()
    everything = "the node has grown by its previews and shows all parts"
    site.until(lambda: panel.shows(*PARTS, *PREVIEWS), everything)
    low = panel.settled_height(TRAINER) - LOWER
    site.page.evaluate(WIDE, TRAINER)
    site.until(lambda: panel.height(TRAINER) < low, "the parts stand side by side and make the node low")
    site.until(lambda: panel.shows(*PARTS, *PREVIEWS), everything)


def test_what_comes_before_a_run_is_told_and_why_there_was_none(site):
    name = f"refused {site.nodes2}"
    panel = Panel(site.open_graph(training_workflow(name, 3)))
    # As the host tells it: these clips are encoded too soon to be seen, or lie in the cache.
    tell(site, "executing", "id")
    panel.wait_state("^Preparing: clips are encoded before the first step$")
    tell(site, "progress", "{ node: id, value: 3, max: 13 }")
    panel.wait_state("^Preparing: clips are encoded before the first step, 3 of 13$")
    tell(site, "executing", "null")
    panel.wait_state("^No run yet")
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 3 of 3$")

    set_steps(site, 4, rank=8)  # no run of this name goes on with another rank
    site.queue()
    assert site.wait_done() == "execution_error"
    assert name in panel.wait_state("^Not run: ")
    assert "Traceback" not in panel.state()
    assert "\n" not in panel.state()

    set_steps(site, 4, rank=16)
    site.queue()
    assert site.wait_done() == "execution_success"
    panel.wait_state("^Finished: step 4 of 4$")
    site.settle()
    panel.wait_state("^Finished: step 4 of 4$")


def chosen(panel: Panel) -> list[str]:
    """Which previews are shown large."""
    return panel.element.locator(".fewshot-chosen figcaption").all_inner_texts()


def set_steps(site: Site, steps: int, **others: int) -> None:
    """Set the steps of the trainer, and other inputs, as its widgets do."""
    site.page.evaluate(
        """([kind, values]) => {
            for (const [name, value] of Object.entries(values)) {
                const widget = app.graph.nodes.find(n => n.type === kind).widgets.find(w => w.name === name)
                widget.value = value
                widget.callback?.(value)
            }
            app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState() }""",
        [TRAINER, {"steps": steps, **others}],
    )


def test_both_stages_of_a_training_are_shown_and_the_one_that_runs_takes_orders(site):
    workflow = motion_workflow(f"stages {site.nodes2}", MANY, MANY)
    panel = Panel(site.open_graph(workflow))
    height = panel.settled_height(MOTION_TRAINER)
    site.queue()
    panel.wait_state(r"^Stage 1 of 2 \(appearance\)\. Training: step [3-9]\d* of 5000, .* left$")
    site.sees(lambda: panel.stages()[1:], ["2 motion: not begun"])
    hint = panel.element.locator(".fewshot-hint")
    site.until(lambda: "motion then begins" in hint.inner_text(), "what a stop leads to")
    panel.button("sample").focus()
    site.page.keyboard.press("Enter")
    panel.element.locator(".fewshot-thumb video").first.wait_for(timeout=PATIENCE * 1000)
    site.until(lambda: panel.height(MOTION_TRAINER) > height, "the node has grown by the room for previews")
    height = panel.settled_height(MOTION_TRAINER)
    panel.button("sample").focus()
    site.page.keyboard.press("Enter")
    panel.element.locator(".fewshot-thumb video").nth(1).wait_for(timeout=PATIENCE * 1000)
    assert panel.settled_height(MOTION_TRAINER) == height  # no further preview, nor the host's still, makes it grow
    stop_with_keyboard(panel)

    panel.wait_state(r"^Stage 2 of 2 \(motion\)\. Training: step [2-9]")
    ended = r"1 appearance: stopped at \d+ of 5000$"
    site.until(lambda: re.match(ended, panel.stages()[0]), "the end of the first stage is shown, too")
    site.sees(hint.inner_text, "")
    first = panel.element.locator(".fewshot-stages button").first
    first.locator(".fewshot-swatch").wait_for(timeout=PATIENCE * 1000)  # its curve is laid over
    first.focus()
    site.page.keyboard.press("Enter")
    panel.wait_state(r"^Stage 1 of 2 \(appearance\)\. Stopped: step")

    site.open_graph(workflow, again=True)
    panel.wait_state(r"^Stage 2 of 2 \(motion\)\. Training")
    site.until(lambda: "stopped" in panel.stages()[0], "the stage before is known again")
    panel.element.locator(".fewshot-stages button").first.focus()
    site.page.keyboard.press("Enter")
    panel.wait_state(r"^Stage 1 of 2 \(appearance\)\. Stopped: step")
    stop_with_keyboard(panel)  # the stage that runs, though the other is shown
    site.until(
        lambda: re.match(r"2 motion: stopped at \d+ of 5000$", panel.stages()[1]), "the second stage has stopped"
    )
