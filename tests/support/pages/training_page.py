"""A small workflow that trains the toy model, and its training panel in the page."""

from __future__ import annotations

import io
import re
import uuid
from typing import Any

import workflow_checks as workflows
from browser import Site
from patience import PATIENCE

KEPT = ("FewShotToyVideoModel", "FewShotToyClips", "FewShotEncodeDataset", "FewShotRunSettings", "TICFTTrain")
TRAINER = "TICFTTrain"
MOTION_TRAINER = "FewShotMotionTrain"
MOTION_KEPT = (
    "FewShotToyVideoModel", "FewShotToyClips", "FewShotDatasetItem", "FewShotDatasetClip", "FewShotEncodeDataset",
    MOTION_TRAINER,
)  # fmt: skip
MOTION_STEPS, MOTION_BATCH, APPEARANCE_STEPS, MOTION_NAME = 2, 5, 6, 12
STEPS, BATCH, RUN_NAME = 3, 4, 9  # places of the trainer's widget values
VALIDATE_EVERY, SAMPLE_EVERY = 2, 3  # of the run settings'


def training_workflow(run_name: str, steps: int, validate_every: int = 10, sample_every: int = 0) -> dict[str, Any]:
    """The shipped workflow that trains, cut down to what trains; its id goes with the name of the run."""
    workflow = cut_down("tic_ft_train_toy", KEPT, run_name)
    for node in workflow["nodes"]:
        if node["type"] == "FewShotRunSettings":
            node["widgets_values"][VALIDATE_EVERY] = validate_every
            node["widgets_values"][SAMPLE_EVERY] = sample_every
        if node["type"] == TRAINER:
            values = node["widgets_values"]
            values[STEPS], values[BATCH], values[RUN_NAME] = steps, 1, run_name
            node["pos"] = [20, 480]
        if node["type"] == "FewShotToyClips":
            node["widgets_values"][1] = 2
        if node["type"] == "FewShotToyVideoModel":
            node["widgets_values"] = ["coarse"]  # a step of the fine one takes several times as long
    return workflow


def motion_workflow(run_name: str, appearance_steps: int, steps: int) -> dict[str, Any]:
    """The shipped workflow of one-shot motion, cut down in the same way."""
    workflow = cut_down("motion_toy", MOTION_KEPT, run_name)
    trainer = next(node for node in workflow["nodes"] if node["type"] == MOTION_TRAINER)
    values = trainer["widgets_values"]
    values[MOTION_STEPS], values[MOTION_BATCH] = steps, 1
    values[APPEARANCE_STEPS], values[MOTION_NAME] = appearance_steps, run_name
    trainer["pos"] = [20, 480]
    loader = next(node for node in workflow["nodes"] if node["type"] == "FewShotToyVideoModel")
    loader["widgets_values"] = ["coarse"]  # a step of the fine one takes several times as long
    return workflow


def cut_down(name: str, kept: tuple[str, ...], run_name: str) -> dict[str, Any]:
    """A shipped workflow with some of its nodes only; its id goes with the name of the run."""
    workflow = workflows.load(name)
    nodes = [node for node in workflow["nodes"] if node["type"] in kept]
    ids = {node["id"] for node in nodes}
    links = [link for link in workflow["links"] if {link[1], link[3]} <= ids]
    known = {link[0] for link in links}
    for node in nodes:
        for socket in node["inputs"]:
            socket["link"] = socket["link"] if socket["link"] in known else None
        for socket in node["outputs"]:
            socket["links"] = [link for link in socket["links"] or [] if link in known]
    return {
        **workflow,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, run_name)),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "extra": {},
    }


def tell(site: Site, event: str, detail: str) -> None:
    """Let the page hear an event of the host; ``detail`` may name the trainer's id."""
    site.page.evaluate(
        f"kind => {{ const id = String(app.graph.nodes.find(n => n.type === kind).id);"
        f" app.api.dispatchCustomEvent('{event}', {detail}) }}",
        TRAINER,
    )


# In one look: while videos load and the node grows, two looks see two layouts.
WHOLE = """(panel, parts) => panel.scrollHeight <= panel.clientHeight + 1 && parts.every((part) => {
    const { bottom, right, height } = panel.querySelector(part).getBoundingClientRect()
    const whole = panel.getBoundingClientRect()
    return height > 0 && bottom <= whole.bottom + 1 && right <= whole.right + 1 })"""
PARTS = (".fewshot-runs", ".fewshot-happened", ".fewshot-figures", ".fewshot-buttons", ".fewshot-choice",
         ".fewshot-loss-chart")  # fmt: skip
PREVIEWS = (".fewshot-chosen", ".fewshot-strip")


class Panel:
    """The training panel of a page."""

    def __init__(self, site: Site, page: Any = None) -> None:
        self.site, self.page = site, page or site.page
        self.element = self.page.locator(".fewshot-panel")

    def state(self) -> str:
        """The line that says where the run stands."""
        return self.element.locator(".fewshot-state").inner_text()

    def wait_state(self, pattern: str, timeout: float = PATIENCE) -> str:
        """Wait until that line matches a regular expression of the page's language, and return it."""
        self.page.wait_for_function(
            "p => new RegExp(p).test(document.querySelector('.fewshot-panel .fewshot-state')?.textContent ?? '')",
            arg=pattern,
            timeout=timeout * 1000,
        )
        return self.state()

    def shows(self, *parts: str) -> bool:
        """Whether parts lie in the panel as they are, so that nothing has to be scrolled."""
        return self.element.evaluate(WHOLE, list(parts))

    def answer(self) -> str:
        """What was answered to an order, as long as it holds."""
        return self.element.locator(".fewshot-answer").inner_text()

    def figures(self) -> dict[str, str]:
        """The figures by their names."""
        rows = self.element.locator(".fewshot-figures > div")
        pairs = [row.locator("dt, dd").all_inner_texts() for row in rows.all()]
        return dict(pairs)

    def messages(self) -> list[str]:
        """What happened, the newest first."""
        return self.element.locator(".fewshot-happened li").all_inner_texts()

    def button(self, order: str) -> Any:
        """The button of an order: ``stop``, ``save`` or ``sample``."""
        return self.element.locator(f"button[data-command={order}]")

    def drawn(self) -> int:
        """Pixels of the chart that are not empty."""
        return self.element.locator("canvas").first.evaluate(
            "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n }"
        )

    def has_colour(self, colour: str) -> bool:
        """Whether the chart has pixels of a colour, given as `#rrggbb`."""
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return self.element.locator("canvas").first.evaluate(
            "(c, [r, g, b]) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " for (let i = 0; i < d.length; i += 4)"
            " if (d[i] === r && d[i + 1] === g && d[i + 2] === b && d[i + 3] === 255) return true; return false }",
            wanted,
        )

    def bar_colour(self) -> str:
        """Colour in the middle of the bar of progress, as `#rrggbb`; no style of a page tells that of its parts."""
        from PIL import Image

        bar = Image.open(io.BytesIO(self.element.locator("progress").screenshot())).convert("RGB")
        return "#{:02x}{:02x}{:02x}".format(*bar.getpixel((bar.width // 2, bar.height // 2)))

    def reads_all_messages(self) -> bool:
        """Whether all that happened can be read without scrolling."""
        return self.element.locator(".fewshot-happened").evaluate("e => e.scrollHeight <= e.clientHeight + 1")

    def wait_message(self, pattern: str) -> str:
        """Wait until something that matches a regular expression has happened, and return it."""
        text = lambda: next((text for text in self.messages() if re.search(pattern, text)), None)  # noqa: E731
        return self.site.until(text, f"a message like {pattern}")

    def read_first(self) -> str:
        """What the chart tells of its first step."""
        self.element.locator(".fewshot-loss-chart").press("Home")
        return self.element.locator(".fewshot-reading").inner_text()

    def runs(self) -> list[str]:
        """Lines of the list of runs; it is opened for that."""
        details = self.element.locator("details.fewshot-runs")
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        return details.locator("li").all_inner_texts()

    def stages(self) -> list[str]:
        """What the buttons of the stages say, in order."""
        return self.element.locator(".fewshot-stages button").all_inner_texts()

    def height(self, kind: str) -> float:
        """Height of the first node of a type, as it is drawn."""
        return self.page.evaluate(
            """kind => { const node = app.graph.nodes.find(n => n.type === kind)
                const drawn = document.querySelector(`[data-node-id='${node.id}']`)
                return drawn ? drawn.offsetHeight : node.size[1] }""",
            kind,
        )

    def settled_height(self, kind: str) -> float:
        """That height, once the page has ceased to change it."""
        heights = [0.0]

        def rests() -> bool:
            self.site.settle()
            heights.append(self.height(kind))
            return heights[-1] == heights[-2]

        self.site.until(rests, "the node keeps its height")
        return heights[-1]

    def overlay(self, place: int) -> None:
        """Lay a run of the list over the curves."""
        self.element.locator("details.fewshot-runs li input").nth(place).check()
