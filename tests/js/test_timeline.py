"""The timeline of TIC-FT nodes in the page: it follows the inputs and sets them, in both ways of drawing nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import workflow_checks as workflows
from browser import Site

TEMPLATE = "tic_ft_zero_shot_toy"
KIND = "TICFTContext"
INPUTS = ("task", "target_frames", "condition_latents", "buffer_latents", "buffer_levels")
NODE = "const node = [app.graph, ...app.graph.subgraphs.values()].flatMap(g => g.nodes).find(n => n.type === kind);"


class Timeline:
    """The timeline of one node of a page, and the node's inputs."""

    def __init__(self, site: Site, root: str = ".fewshot-timeline") -> None:
        self.site, self.page, self.root = site, site.page, root

    def inputs(self) -> dict[str, Any]:
        """The values of the node's widgets."""
        script = f"(kind) => {{ {NODE} return Object.fromEntries(node.widgets.map(w => [w.name, w.value ?? null])) }}"
        values = self.page.evaluate(script, KIND)
        return {name: values[name] for name in INPUTS}

    def text(self, part: str) -> str:
        """What a part of the timeline says."""
        return self.page.locator(f"{self.root} .fewshot-{part}").inner_text()

    def cells(self, role: str) -> int:
        """Bars of a role."""
        return self.page.locator(f"{self.root} .fewshot-cell.fewshot-{role}").count()

    def counts(self) -> list[int]:
        """Bars of each role."""
        return [self.cells(role) for role in ("condition", "buffer", "target")]

    def handle(self, label: str) -> Any:
        """The handle whose label starts so."""
        return self.page.locator(f"{self.root} [role=slider][aria-label^='{label}']")

    def press(self, label: str, *keys: str) -> None:
        """Press keys on a handle."""
        self.handle(label).focus()
        for key in keys:
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(100)  # the host looks for changes a frame later

    def drag(self, label: str, right: float = 0, up: float = 0) -> None:
        """Drag a handle by so many pixels."""
        box = self.handle(label).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right / 2, y - up / 2)
        self.page.mouse.move(x + right, y - up)
        self.page.mouse.up()
        self.page.wait_for_timeout(100)

    def type_in(self, name: str, value: Any) -> None:
        """Set an input of the node as its own widget does."""
        script = f"""([kind, name, value]) => {{ {NODE}
            const widget = node.widgets.find(w => w.name === name)
            if (widget.setValue) widget.setValue(value, {{ e: null, node, canvas: app.canvas }})
            else {{ widget.value = value; widget.callback?.(value) }} }}"""
        self.page.evaluate(script, [KIND, name, value])

    def undo(self, key: str = "Control+z") -> None:
        """Undo, from where the keyboard is."""
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(500)
        look_at(self.page)


def look_at(page: Any, kind: str = KIND) -> None:
    """Bring a node's timeline into view, at a zoom at which it is drawn."""
    page.evaluate(
        f"""(kind) => {{ {NODE} app.canvas.ds.scale = 1
            app.canvas.ds.offset[0] = 200 - node.pos[0]
            app.canvas.ds.offset[1] = 860 - node.pos[1] - node.size[1]
            app.canvas.setDirty(true, true) }}""",
        kind,
    )
    page.wait_for_selector(".fewshot-timeline", timeout=20_000)
    page.wait_for_timeout(200)


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
    assert timeline.counts() == [1, 3, 9]
    assert timeline.text("summary") == "1 condition + 3 buffer + 9 target latents = 49 frames"
    assert timeline.text("counts").split("\n") == ["C 1", "B 12", "T 36"]
    assert timeline.text("kept") == "After the crop: 36 frames = 2.25 s at"
    assert timeline.text("messages") == ""
    timeline.type_in("task", "video to video")
    timeline.type_in("target_frames", 24)
    assert timeline.counts() == [4, 3, 6]
    timeline.type_in("buffer_levels", "0.2, 0.4")
    assert "⚠ 2 buffer levels for 3 buffer latents" in timeline.text("messages")
    timeline.type_in("buffer_latents", 2)
    assert timeline.text("messages") == ""
    assert timeline.handle("Noise level of buffer 2").get_attribute("aria-valuenow") == "0.4"
    timeline.type_in("target_frames", 26)
    assert "⚠ target_frames 26 must be a multiple of 4; use 24 or 28" in timeline.text("messages")


def test_keys_on_the_timeline_set_the_inputs(timeline):
    timeline.press("End of the condition", "ArrowRight", "ArrowRight", "ArrowLeft")
    timeline.press("End of the buffers", "ArrowUp")
    timeline.press("End of the target", "PageDown")
    assert timeline.inputs() == {
        "task": "image to video", "target_frames": 20, "condition_latents": 2, "buffer_latents": 4, "buffer_levels": "",
    }  # fmt: skip
    timeline.press("Noise level of buffer 2", "PageUp", "ArrowUp")
    assert timeline.inputs()["buffer_levels"] == "0.2, 0.51, 0.6, 0.8"
    timeline.press("End of the buffers", "ArrowLeft", "ArrowLeft")
    assert timeline.inputs()["buffer_latents"] == 2
    assert len(timeline.inputs()["buffer_levels"].split(", ")) == 2
    timeline.page.evaluate(f"(kind) => {{ {NODE} app.canvas.selectItems([node]) }}", KIND)
    timeline.press("Noise level of buffer 1", "Delete")
    timeline.press("End of the condition", "Delete")
    assert timeline.inputs()["buffer_levels"] == ""
    assert timeline.inputs()["condition_latents"] == -1
    assert timeline.site.node(KIND)  # Delete did not reach the canvas


def test_dragging_the_timeline_sets_the_inputs_in_one_step(alone):
    width = alone.page.locator(".fewshot-chart").bounding_box()["width"]
    alone.drag("End of the condition", right=2 * width / 13)
    assert alone.inputs()["condition_latents"] == 3
    alone.drag("Noise level of buffer 1", up=-200)
    assert alone.inputs()["buffer_levels"] == "0.01, 0.5, 0.75"
    before = alone.inputs()
    alone.undo()
    assert alone.inputs() == {**before, "buffer_levels": ""}
    assert alone.handle("Noise level of buffer 1").get_attribute("aria-valuenow") == "0.25"
    alone.undo()
    assert alone.inputs()["condition_latents"] == -1
    assert alone.counts() == [1, 3, 9]
    alone.undo("Control+y")
    assert alone.counts() == [3, 3, 9]


def test_the_task_of_the_timeline_brings_its_own_counts(alone):
    alone.press("End of the condition", "ArrowRight")
    alone.page.locator(".fewshot-task").select_option("action transfer")
    assert alone.inputs() == {
        "task": "action transfer", "target_frames": 36, "condition_latents": -1, "buffer_latents": -1,
        "buffer_levels": "",
    }  # fmt: skip
    assert alone.counts() == [7, 0, 9]
    assert "'action transfer' has no condition; connect a clip to condition" in alone.text("messages")
    alone.undo()
    assert alone.inputs()["task"] == "image to video"
    assert alone.inputs()["condition_latents"] == 2


def test_the_scrubber_shows_which_frames_move(timeline):
    assert timeline.text("moving") == "noise 1.00: moving target; frozen condition and buffer"
    timeline.press("Noise level (sigma)", *["PageDown"] * 5)
    assert timeline.text("moving") == (
        "noise 0.50: moving 2 of 3 buffers and target; frozen condition and 1 of 3 buffers"
    )
    assert timeline.page.locator(".fewshot-cell.fewshot-frozen").count() == 2


def test_the_timeline_is_not_saved_and_what_it_set_is(timeline):
    before = timeline.site.graph()
    timeline.press("End of the buffers", "ArrowRight")
    timeline.press("Noise level of buffer 4", "ArrowUp")
    timeline.page.locator(".fewshot-fps").fill("8")
    timeline.page.keyboard.press("Tab")
    assert timeline.text("kept") == "After the crop: 36 frames = 4.5 s at"
    saved = timeline.site.graph()
    context = next(node for node in saved["workflow"]["nodes"] if node["type"] == KIND)
    old = next(node for node in before["workflow"]["nodes"] if node["type"] == KIND)
    assert len(context["widgets_values"]) == len(old["widgets_values"])
    prompt = next(node for node in saved["output"].values() if node["class_type"] == KIND)
    assert "timeline" not in prompt["inputs"]
    timeline.site.open_graph(json.loads(json.dumps(saved["workflow"])))
    look_at(timeline.page)
    assert timeline.inputs()["buffer_levels"] == "0.2, 0.4, 0.6, 0.81"
    assert timeline.counts() == [1, 4, 9]
    assert timeline.text("kept") == "After the crop: 36 frames = 4.5 s at"
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
    assert timeline.page.evaluate(values, KIND) == [2, 2]
    first = timeline.page.locator("[role=slider][aria-label^='End of the condition']").first
    first.focus()
    timeline.page.keyboard.press("ArrowRight")
    assert sorted(timeline.page.evaluate(values, KIND)) == [2, 3]


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
    assert timeline.counts() == [2, 3, 9]
    timeline.press("End of the target", "ArrowLeft")
    # Shown on the subgraph's node, an input has its value there.
    timeline.page.evaluate(
        f"""(kind) => {{ {NODE} const slot = node.inputs.find(i => i.name === 'condition_latents')
            node.graph.addInput('shown', 'INT').connect(slot, node) }}""",
        KIND,
    )
    assert shown_on_host(timeline.page) == 2
    timeline.press("End of the condition", "ArrowRight")
    assert timeline.counts() == [3, 3, 8]
    assert shown_on_host(timeline.page) == 3
    assert prompt_of(timeline.site) == {**before, "condition_latents": 3, "target_frames": 32}
    shown_on_host(timeline.page, 5)
    assert timeline.site.until(lambda: timeline.counts() == [5, 3, 8], "the value of the subgraph's node")


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
    assert "target_frames is wired: its value shows after a run" in timeline.text("messages")
    assert timeline.handle("End of the target").get_attribute("aria-disabled") == "true"
    timeline.press("End of the target", "ArrowLeft")
    assert timeline.inputs()["target_frames"] == 36
    timeline.site.queue()
    assert timeline.site.wait_done() == "execution_success"
    assert timeline.site.until(lambda: timeline.counts() == [1, 3, 2], "the timeline of the run")
    assert timeline.text("messages") == ""


def test_the_timeline_of_the_training_says_that_the_clips_decide(open_template):
    site = open_template("tic_ft_train_toy")
    page = site.page
    look_at(page, "TICFTTrain")
    group = page.evaluate_handle(
        f"(kind) => {{ {NODE} return node.widgets.find(w => w.name === 'timeline').element }}", "TICFTTrain"
    )
    train = group.as_element()
    text = lambda part: train.query_selector(f".fewshot-{part}").inner_text()  # noqa: E731
    assert text("summary") == "1 condition + 3 buffer + target latents"
    assert text("counts").split() == ["C", "1", "B", "12", "T", "?"]
    assert text("kept").startswith("The target is as long as the clips")
    assert not train.query_selector("[aria-label^='End of the target']").is_visible()
    train.query_selector("[aria-label^='End of the buffers']").focus()
    page.keyboard.press("ArrowLeft")
    assert site.node("TICFTTrain")["widgets_values"][7:9] == [-1, 2]


def test_keys_that_the_host_has_shortcuts_for_stay_in_the_timeline(timeline):
    page = timeline.page
    page.evaluate("k => app.canvas.selectItems(app.graph.nodes.filter(n => n.type === k))", KIND)
    before = len(timeline.site.graph()["workflow"]["nodes"])
    page.locator(".fewshot-timeline .fewshot-reset").focus()
    page.keyboard.press("Delete")
    page.locator(".fewshot-timeline .fewshot-task").focus()
    page.keyboard.press("w")  # would open the list of workflows
    page.wait_for_timeout(300)
    assert len(timeline.site.graph()["workflow"]["nodes"]) == before
    assert page.locator(".workflows-sidebar-tab").count() == 0
