"""A page of a real ComfyUI in a real browser: what every browser test needs to start, open and look."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[3] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))

from host_setup.pins import PACK_NAME  # noqa: E402
from host_setup.server import Server  # noqa: E402
from patience import PATIENCE  # noqa: E402
from workflow_files.names import title_of  # noqa: E402

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What the host's own front end says in every session, whatever we do.
NOISE = re.compile(
    r"user\.css|graph accessed before initialization|legacy queue/history menu|open_maskeditor|"
    r"Autofocus processing|missingModelDownload|Content Security Policy"
)
READY = "() => window.app?.vueAppReady && window.app.extensionManager?.workflow?.activeWorkflow"
# What the template browser does with the file of a template; the graph as it is saved, and the prompt, as one text.
# Without the view of its own that js/view.js would take some frames later: tests look where they like.
OPEN = """async ([name, pack]) => {
    const answer = await fetch(`/api/workflow_templates/${pack}/${encodeURIComponent(name)}.json`)
    const graph = await answer.json()
    delete graph.extra?.fewshot_view
    await app.loadGraphData(graph, true, true, name, { openSource: 'template' })
    return JSON.stringify(await app.graphToPrompt()) }"""
CLEAR = """() => { app.canvas.setGraph(app.graph.rootGraph); app.canvas.deselectAll(); app.canvas.ds.reset()
    app.graph.clear()
    document.activeElement?.blur() }"""
OPENED = "n => app.extensionManager.workflow.activeWorkflow.filename === n && app.graph.nodes.length > 0"
# A page's timers fire in the order in which they are due, and those of ours that show something are due sooner.
SETTLED = """async () => { await (await fetch('/api/prompt')).json()
    await new Promise(done => setTimeout(done, 600))
    for (let i = 0; i < 2; i++) await new Promise(done => requestAnimationFrame(done)) }"""
MENU_BUTTON = ".comfy-menu-button-wrapper, [data-testid=comfy-menu-button]"  # on 1.47, and since 1.58
MENU = ".comfy-command-menu, [role=menu]"
AWAY = (900, 600)  # pixels: on the canvas, far from every menu
LOOK = 0.1  # seconds between two looks at what is waited for
SOON = 5000  # milliseconds that one try may take
TRIES = 300  # of what takes seconds and not a look
SETTINGS = {
    "Comfy.InstalledVersion": "1.47.12",
    "Comfy.Workflow.Persist": False,
    "Comfy.Locale": "en",
    "Comfy.Minimap.Visible": False,  # newer front ends lay it over the nodes in the corner
}


def came_about(action: Callable[..., Any]) -> bool:
    """Whether an action of Playwright came about soon: a menu may close meanwhile, a node be drawn anew."""
    from playwright.sync_api import TimeoutError as TooLate

    try:
        action(timeout=SOON)
    except TooLate:
        return False
    return True


def prepare_user(base: Path) -> None:
    """Files of a user who has been here before, so that no page asks for what is missing."""
    user = base / "user" / "default"
    for name in ("workflows", "subgraphs", "keybindings"):
        (user / name).mkdir(parents=True, exist_ok=True)
    (user / "user.css").touch()
    (user / "comfy.templates.json").write_text("{}")
    (user / "comfy.settings.json").write_text(json.dumps(SETTINGS))


def make_idle(host: Server) -> None:
    """End what an earlier test has left running or waiting, and forget results, so that nodes run again."""
    host.post("/queue", {"clear": True})
    host.interrupt()
    deadline = time.monotonic() + PATIENCE
    while host.get("/prompt")["exec_info"]["queue_remaining"]:
        assert time.monotonic() < deadline, "the host does not come to rest"
        time.sleep(0.2)
    host.post("/api/free", {"unload_models": True, "free_memory": True})


def watch(page: Any) -> list[str]:
    """The list that every error of a page is added to, but the host's own noise."""
    errors: list[str] = []

    def hear(message: Any) -> None:
        text = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not NOISE.search(text):
            errors.append(text)

    page.on("pageerror", lambda error: errors.append(f"pageerror {error}"))
    page.on("console", hear)
    return errors


class Site:
    """A page of the host in one of its two ways of drawing nodes.

    Attributes:
        page: Playwright's page.
        host: The running ComfyUI.
        nodes2: Whether nodes are drawn as HTML (Nodes 2.0) and not on the canvas (classic).
    """

    def __init__(self, page: Any, host: Server, nodes2: bool) -> None:
        self.page, self.host, self.nodes2 = page, host, nodes2
        self.errors = watch(page)

    @property
    def loaded(self) -> bool:
        """Whether the front end has been loaded into the page."""
        return self.page.url != "about:blank"

    def begin_anew(self) -> None:
        """Forget what an earlier test has logged, and leave nothing on the canvas for this one."""
        self.errors.clear()
        if self.loaded:
            self.page.evaluate(CLEAR)

    def load(self, name: str) -> Site:
        """Load the page and open a shipped workflow, by its key, in it."""
        self.page.goto(f"{self.host.url}/?template=~")  # no template, but enough not to be greeted as a newcomer
        self.wait_ready()
        self.open_template(name)
        self.page.wait_for_function(OPENED, arg=title_of(name), timeout=PATIENCE * 1000)
        return self

    def open_template(self, name: str) -> Site:
        """Open a shipped workflow as the template browser does, in the page that is there or in a new one."""
        if not self.loaded:
            return self.load(name)
        self.page.evaluate(OPEN, [title_of(name), PACK_NAME])  # one that is open already gets a number after its name
        return self

    def open_graph(self, workflow: dict[str, Any], again: bool = False) -> Site:
        """Open a workflow in the front end's own form, in the page that is there or, ``again``, in one loaded anew."""
        if again or not self.loaded:
            self.load("tic_ft_zero_shot_toy")  # with no template the host greets newcomers
        self.page.evaluate("async graph => { await app.loadGraphData(graph) }", workflow)
        self.page.wait_for_function("n => app.graph.nodes.length === n", arg=len(workflow["nodes"]))
        return self

    def wait_ready(self) -> None:
        """Wait until the front end has started."""
        self.page.wait_for_function(READY, timeout=PATIENCE * 1000)

    def settle(self) -> None:
        """Wait for what comes after all that has happened so far: an answer of the host, a timer, and two frames."""
        self.page.evaluate(SETTLED)

    def graph(self) -> dict[str, Any]:
        """``workflow`` and ``output`` (the prompt) of the page, as saving and queueing make them."""
        return json.loads(self.page.evaluate("async () => JSON.stringify(await app.graphToPrompt())"))

    def node(self, kind: str) -> dict[str, Any]:
        """The first node of a type, as it is saved."""
        return next(node for node in self.graph()["workflow"]["nodes"] if node["type"] == kind)

    def queue(self) -> None:
        """Press Run."""
        self.listen()
        assert self.page.evaluate("async () => await app.queuePrompt(0)"), "the prompt was refused"

    def listen(self) -> None:
        """Wait from now on for the end of what is queued next; news of earlier prompts may still be under way."""
        self.page.evaluate(
            """earlier => { window.__done = null
            const first = !window.__earlier
            window.__earlier = earlier
            for (const n of first ? ['execution_success', 'execution_error', 'execution_interrupted'] : [])
                app.api.addEventListener(n, e => {
                    if (!window.__earlier.includes(e.detail.prompt_id)) window.__done = [n, e.detail] }) }""",
            list(self.host.get("/history")),
        )

    def wait_done(self, timeout: float = PATIENCE) -> str:
        """Wait for the end of what ``queue`` started; returns how it ended, in the host's word."""
        self.page.wait_for_function("() => window.__done", timeout=timeout * 1000)
        return self.page.evaluate("() => window.__done[0]")

    def open_submenu(self, group: str, item: str) -> None:
        """Open a group of the main menu, and wait until ``item`` of it is there.

        A page that still draws may miss a pointer that came to rest, or close the menu: then all is done again.

        Raises:
            AssertionError: the group never opened.
        """
        group_line = self.page.locator(MENU).get_by_text(group, exact=True).first
        item_line = self.page.locator(MENU).get_by_text(item, exact=True).first

        def opened() -> bool:
            if item_line.is_visible():
                return True
            self.page.mouse.move(*AWAY)
            if not group_line.is_visible():
                came_about(self.page.locator(MENU_BUTTON).first.click)
            came_about(group_line.hover)
            self.page.wait_for_timeout(1000)
            return False

        self.until(opened, f"{group} shows {item}", TRIES)

    def sees(self, look: Callable[[], Any], wanted: Any, timeout: float = PATIENCE) -> None:
        """Look until there is what is wanted: the page draws when it comes to it.

        Raises:
            AssertionError: something else was there to the end.
        """
        for _ in range(int(timeout / LOOK)):
            found = look()
            if found == wanted:
                return
            self.page.wait_for_timeout(LOOK * 1000)
        assert found == wanted, f"not within {timeout:.0f} s"

    def until(self, test: Callable[[], Any], what: str, tries: int = int(PATIENCE / LOOK)) -> Any:
        """Ask until ``test`` gives something true, and return it.

        Raises:
            AssertionError: it never did.
        """
        for _ in range(tries):
            found = test()
            if found:
                return found
            self.page.wait_for_timeout(LOOK * 1000)
        raise AssertionError(f"{what}: not within {tries} looks\n{self.host.log_tail()}")
