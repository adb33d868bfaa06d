"""The training panel in the page, while the toy model trains and afterwards."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser import PATIENCE, Site
from training_page import TRAINER, Panel, training_workflow

MANY = 500  # steps; such a run is stopped
STEP = r"^Training: step ([1-9]\d*) of 500"
OTHER_WORKFLOW = "11111111-2222-3333-4444-555555555555"
SEED = 5  # place among the trainer's widget values


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
    assert other.errors == []


def stop_with_keyboard(panel: Panel) -> None:
    """Press the button as somebody without a mouse does."""
    panel.button("stop").focus()
    panel.page.keyboard.press("Enter")


def test_a_run_is_followed_in_two_tabs_through_a_reload_until_it_is_stopped_and_goes_on(site, second_tab):
    name = f"followed {site.nodes2}"
    workflow = training_workflow(name, MANY, validate_every=2)
    panel = Panel(site.open_graph(workflow))
    assert "No run yet" in panel.state()
    site.queue()
    panel.wait_state(r"^Training: step [3-9]\d* of 500, .* left$")
    figures = panel.figures()
    assert set(figures) == {"loss", "smoothed", "time left", "per step", "peak memory", "learning rate"}
    assert "–" not in figures.values()
    assert figures["learning rate"] == "0.001"
    assert panel.messages()[-1] == "started, 500 steps"
    assert panel.drawn() > 200

    other = Panel(second_tab.open_graph(workflow))
    assert step_of(other) >= 3

    site.open_graph(workflow, again=True)
    before = step_of(panel)
    assert panel.read_first().startswith(("step 0", "step 1 "))  # what was missed came by the route
    site.until(lambda: step_of(panel) > before, "the run goes on in the page that was loaded again")

    panel.button("sample").click()
    for shown in (panel, other):
        shown.element.locator(".fewshot-thumb video").first.wait_for(timeout=PATIENCE * 1000)
    panel.button("save").click()
    panel.wait_message("^saved")
    stop_with_keyboard(panel)
    for shown in (panel, other):
        shown.wait_state("^Stopped: step")
        assert shown.button("stop").is_disabled()
    assert re.match(rf"stopped after \d+ steps; the LoRA is {name}", panel.wait_message("^stopped after"))

    site.queue()
    panel.wait_message(r"^resumed at \d+ of 500")
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
    assert panel.drawn() > 100

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


def test_the_panel_leaves_the_workflow_as_it_is(open_template):
    site = open_template("tic_ft_train_toy")
    site.page.wait_for_selector(".fewshot-panel")
    widgets = "k => app.graph.nodes.find(n => n.type === k).widgets.map(w => w.name)"
    assert site.page.evaluate(widgets, TRAINER)[-2:] == ["timeline", "training_panel"]  # behind all that is saved
    prompt = site.graph()["output"]
    (trainer,) = [node for node in prompt.values() if node["class_type"] == TRAINER]
    assert "training_panel" not in trainer["inputs"]
    assert len(site.node(TRAINER)["widgets_values"]) == 13
