"""The timeline of a TIC-FT node in the page, and the node's inputs."""

from __future__ import annotations

from typing import Any

from browser import Site

KIND = "TICFTContext"
INPUTS = ("task", "target_frames", "condition_latents", "buffer_latents", "buffer_levels")
NODE = "const node = [app.graph, ...app.graph.subgraphs.values()].flatMap(g => g.nodes).find(n => n.type === kind);"
FRAMES = """async () => { for (let i = 0; i < 3; i++) await new Promise(done => requestAnimationFrame(done))
    await new Promise(done => setTimeout(done, 100)) }"""


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

    def has(self, *counts: int) -> None:
        """Look until there are so many bars of each role."""
        self.site.sees(self.counts, list(counts))

    def says(self, part: str, text: str) -> None:
        """Look until a part says just this."""
        self.site.sees(lambda: self.text(part), text)

    def mentions(self, part: str, text: str) -> None:
        """Look until a part says this among other things."""
        self.site.until(lambda: text in self.text(part), f"{part}: {text}")

    def holds(self, **values: Any) -> None:
        """Look until some inputs have these values."""
        self.site.sees(lambda: {name: value for name, value in self.inputs().items() if name in values}, values)

    def is_at(self, label: str, value: str) -> None:
        """Look until a handle has this value."""
        self.site.sees(lambda: self.handle(label).get_attribute("aria-valuenow"), value)

    def handle(self, label: str) -> Any:
        """The handle whose label starts so."""
        return self.page.locator(f"{self.root} [role=slider][aria-label^='{label}']")

    def press(self, label: str, *keys: str) -> None:
        """Press keys on a handle."""
        self.handle(label).focus()
        for key in keys:
            self.page.keyboard.press(key)
        self.page.evaluate(FRAMES)  # the host looks for changes a frame later

    def drag(self, label: str, right: float = 0, up: float = 0) -> None:
        """Drag a handle by so many pixels."""
        self.handle(label).hover()  # once it stands still and nothing lies over it
        box = self.handle(label).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right / 2, y - up / 2)
        self.page.mouse.move(x + right, y - up)
        self.page.mouse.up()
        self.page.evaluate(FRAMES)

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
        self.site.settle()
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
    page.wait_for_selector(".fewshot-timeline")
    page.evaluate(FRAMES)
