"""The timeline of TIC-FT nodes in the page: it follows the inputs and sets them, in both ways of drawing nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import workflow_checks as workflows
from browser import Site
from timeline_page import INPUTS, KIND, NODE, Timeline, look_at

TEMPLATE = "tic_ft_zero_shot_toy"


@pytest.fixture
def timeline(open_template) -> Timeline:
    """The timeline of the context node of a shipped workflow."""
    site = open_template(TEMPLATE)
    look_at(site.page)
    return Timeline(site)


@pytest.fixture
def alone(open_template) -> Timeline:
    """The timeline of the context node with nothing around it.

    Nodes 2.0 measures some of the host's nodes anew after undo, which makes undo steps of its own.
    """
    site = open_template(TEMPLATE)
    workflow = {**workflows.load(TEMPLATE), "links": [], "groups": []}
    context = next(node for node in workflow["nodes"] if node["type"] == KIND)
    sockets = [{**socket, "link": None} for socket in context["inputs"]]
    outputs = [{**socket, "links": None} for socket in context["outputs"]]
    site.open_graph({**workflow, "nodes": [{**context, "inputs": sockets, "outputs": outputs}]})
    look_at(site.page)
    return Timeline(site)


def test_the_timeline_follows_the_inputs(timeline):
    timeline.has(1, 3, 9)
    timeline.says("summary", "1 condition + 3 buffer + 9 target latents = 49 frames")
    timeline.says("counts", "C 1\nB 12\nT 36")
    timeline.says("kept", "After the crop: 36 frames = 2.25 s at")
    timeline.says("messages", "")
    timeline.type_in("task", "video to video")
    timeline.type_in("target_frames", 24)
    timeline.has(4, 3, 6)
    timeline.type_in("buffer_levels", "0.2, 0.4")
    timeline.mentions("messages", "⚠ 2 buffer levels for 3 buffer latents")
    timeline.type_in("buffer_latents", 2)
    timeline.says("messages", "")
    timeline.is_at("Noise level of buffer 2", "0.4")
    timeline.type_in("target_frames", 26)
    timeline.mentions("messages", "⚠ target_frames 26 must be a multiple of 4; use 24 or 28")


def test_keys_on_the_timeline_set_the_inputs(timeline):
    timeline.press("End of the condition", "ArrowRight", "ArrowRight", "ArrowLeft")
    timeline.press("End of the buffers", "ArrowUp")
    timeline.press("End of the target", "PageDown")
    timeline.holds(task="image to video", target_frames=20, condition_latents=2, buffer_latents=4, buffer_levels="")
    timeline.press("Noise level of buffer 2", "PageUp", "ArrowUp")
    timeline.holds(buffer_levels="0.2, 0.51, 0.6, 0.8")
    timeline.press("End of the buffers", "ArrowLeft", "ArrowLeft")
    timeline.holds(buffer_latents=2)
    assert len(timeline.inputs()["buffer_levels"].split(", ")) == 2
    timeline.page.evaluate(f"(kind) => {{ {NODE} app.canvas.selectItems([node]) }}", KIND)
    timeline.press("Noise level of buffer 1", "Delete")
    timeline.press("End of the condition", "Delete")
    timeline.holds(buffer_levels="")
    timeline.holds(condition_latents=-1)
    assert timeline.site.node(KIND)  # Delete did not reach the canvas


def test_dragging_the_timeline_sets_the_inputs_in_one_step(alone):
    width = alone.page.locator(".fewshot-chart").bounding_box()["width"]
    alone.drag("End of the condition", right=2 * width / 13)
    alone.holds(condition_latents=3)
    alone.drag("Noise level of buffer 1", up=-200)
    alone.holds(buffer_levels="0.01, 0.5, 0.75")
    before = alone.inputs()
    alone.undo()
    alone.holds(**{**before, "buffer_levels": ""})
    alone.is_at("Noise level of buffer 1", "0.25")
    alone.undo()
    alone.holds(condition_latents=-1)
    alone.has(1, 3, 9)
    alone.undo("Control+y")
    alone.has(3, 3, 9)


def test_the_task_of_the_timeline_brings_its_own_counts(alone):
    alone.press("End of the condition", "ArrowRight")
    alone.page.locator(".fewshot-task").select_option("action transfer")
    alone.holds(task="action transfer", target_frames=36, condition_latents=-1, buffer_latents=-1, buffer_levels="")
    alone.has(7, 0, 9)
    alone.mentions("messages", "'action transfer' has no condition; connect a clip to condition")
    alone.undo()
    alone.holds(task="image to video")
    alone.holds(condition_latents=2)


def test_the_scrubber_shows_which_frames_move(timeline):
    timeline.says("moving", "noise 1.00: moving target; frozen condition and buffer")
    timeline.press("Noise level (sigma)", *["PageDown"] * 5)
    timeline.says("moving", "noise 0.50: moving 2 of 3 buffers and target; frozen condition and 1 of 3 buffers")
    timeline.site.sees(timeline.page.locator(".fewshot-cell.fewshot-frozen").count, 2)


def test_the_timeline_is_not_saved_and_what_it_set_is(timeline):
    before = timeline.site.graph()
    timeline.press("End of the buffers", "ArrowRight")
    timeline.press("Noise level of buffer 4", "ArrowUp")
    timeline.page.locator(".fewshot-fps").fill("8")
    timeline.page.keyboard.press("Tab")
    timeline.says("kept", "After the crop: 36 frames = 4.5 s at")
    saved = timeline.site.graph()
    context = next(node for node in saved["workflow"]["nodes"] if node["type"] == KIND)
    old = next(node for node in before["workflow"]["nodes"] if node["type"] == KIND)
    assert len(context["widgets_values"]) == len(old["widgets_values"])
    prompt = next(node for node in saved["output"].values() if node["class_type"] == KIND)
    assert "timeline" not in prompt["inputs"]
    timeline.site.open_graph(json.loads(json.dumps(saved["workflow"])))
    look_at(timeline.page)
    timeline.holds(buffer_levels="0.2, 0.4, 0.6, 0.81")
    timeline.has(1, 4, 9)
    timeline.says("kept", "After the crop: 36 frames = 4.5 s at")
    again = timeline.site.graph()
    assert again["output"] == saved["output"]


def test_a_pasted_node_has_a_timeline_of_its_own(timeline):
    timeline.press("End of the condition", "ArrowRight")
    timeline.page.evaluate(
        f"""(kind) => {{ {NODE} app.canvas.selectItems([node]); app.canvas.copyToClipboard([node])
            app.canvas.pasteFromClipboard({{ position: [node.pos[0] + 400, node.pos[1]] }}) }}""",
        KIND,
    )
    timeline.page.wait_for_function("() => document.querySelectorAll('.fewshot-timeline').length === 2")
    look_at(timeline.page)
    values = "(kind) => app.graph.nodes.filter(n => n.type === kind).map(n => n.widgets.find(w => w.name === 'condition_latents').value)"  # noqa: E501
    timeline.site.sees(lambda: timeline.page.evaluate(values, KIND), [2, 2])
    first = timeline.page.locator("[role=slider][aria-label^='End of the condition']").first
    first.focus()
    timeline.page.keyboard.press("ArrowRight")
    timeline.site.sees(lambda: sorted(timeline.page.evaluate(values, KIND)), [2, 3])


def test_values_are_kept_and_set_in_a_subgraph(timeline):
    timeline.press("End of the condition", "ArrowRight")
    before = timeline.inputs()
    timeline.page.evaluate(
        f"""(kind) => {{ {NODE} const made = app.graph.convertToSubgraph(new Set([node]))
            window.__host = made.node
            app.canvas.setGraph(made.subgraph) }}""",
        KIND,
    )
    look_at(timeline.page)
    timeline.has(2, 3, 9)
    timeline.press("End of the target", "ArrowLeft")
    # Shown on the subgraph's node, an input has its value there.
    timeline.page.evaluate(
        f"""(kind) => {{ {NODE} const slot = node.inputs.find(i => i.name === 'condition_latents')
            node.graph.addInput('shown', 'INT').connect(slot, node) }}""",
        KIND,
    )
    timeline.site.sees(lambda: shown_on_host(timeline.page), 2)
    timeline.press("End of the condition", "ArrowRight")
    timeline.has(3, 3, 8)
    timeline.site.sees(lambda: shown_on_host(timeline.page), 3)
    timeline.site.sees(lambda: prompt_of(timeline.site), {**before, "condition_latents": 3, "target_frames": 32})
    shown_on_host(timeline.page, 5)
    timeline.has(5, 3, 8)


def shown_on_host(page: Any, value: int | None = None) -> int:
    """The value of the widget on the subgraph's node; it may be set, as an edit there does."""
    script = """(value) => { const widget = window.__host.widgets.find(w => w.name === 'shown')
        if (value !== null) { widget.callback(value)
            app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState() }
        return widget.value }"""
    return page.evaluate(script, value)


def prompt_of(site: Site) -> dict[str, Any]:
    """What the prompt gives the node for the inputs of the timeline."""
    context = next(node for node in site.graph()["output"].values() if node["class_type"] == KIND)
    return {name: context["inputs"][name] for name in INPUTS}


def test_wired_inputs_show_the_last_run(timeline):
    page = timeline.page
    page.evaluate(
        f"""(kind) => {{ {NODE} const number = LiteGraph.createNode('PrimitiveInt')
            app.graph.add(number); number.widgets[0].value = 8
            number.connect(0, node, node.inputs.findIndex(i => i.name === 'target_frames'))
            for (const n of app.graph.nodes) for (const w of n.widgets ?? []) if (w.name === 'steps') w.value = 1 }}""",
        KIND,
    )
    page.wait_for_function("() => document.querySelector('.fewshot-messages').textContent.includes('is wired')")
    timeline.mentions("messages", "target_frames is wired: its value shows after a run")
    timeline.site.sees(lambda: timeline.handle("End of the target").get_attribute("aria-disabled"), "true")
    timeline.press("End of the target", "ArrowLeft")
    timeline.holds(target_frames=36)
    timeline.site.queue()
    assert timeline.site.wait_done() == "execution_success"
    timeline.has(1, 3, 2)
    timeline.says("messages", "")


def test_the_timeline_of_the_training_says_that_the_clips_decide(open_template):
    site = open_template("tic_ft_train_toy")
    page = site.page
    look_at(page, "TICFTTrain")
    group = page.evaluate_handle(
        f"(kind) => {{ {NODE} return node.widgets.find(w => w.name === 'timeline').element }}", "TICFTTrain"
    )
    train = group.as_element()
    text = lambda part: train.query_selector(f".fewshot-{part}").inner_text()  # noqa: E731
    site.sees(lambda: text("summary"), "1 condition + 3 buffer + target latents")
    site.sees(lambda: text("counts").split(), ["C", "1", "B", "12", "T", "?"])
    site.until(lambda: text("kept").startswith("The target is as long as the clips"), "who decides the length")
    assert not train.query_selector("[aria-label^='End of the target']").is_visible()
    train.query_selector("[aria-label^='End of the buffers']").focus()
    page.keyboard.press("ArrowLeft")
    site.sees(lambda: site.node("TICFTTrain")["widgets_values"][7:9], [-1, 2])


def test_keys_that_the_host_has_shortcuts_for_stay_in_the_timeline(timeline):
    page = timeline.page
    page.evaluate("k => app.canvas.selectItems(app.graph.nodes.filter(n => n.type === k))", KIND)
    before = len(timeline.site.graph()["workflow"]["nodes"])
    page.locator(".fewshot-timeline .fewshot-reset").focus()
    page.keyboard.press("Delete")
    page.locator(".fewshot-timeline .fewshot-task").focus()
    page.keyboard.press("w")  # would open the list of workflows
    timeline.site.settle()
    assert len(timeline.site.graph()["workflow"]["nodes"]) == before
    assert page.locator(".workflows-sidebar-tab").count() == 0
