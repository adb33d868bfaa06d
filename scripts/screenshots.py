"""Write pictures of every workflow and node, as a browser shows them: for documents and help pages.

python scripts/screenshots.py                  all of them
python scripts/screenshots.py tic_ft_train_toy only this workflow
python scripts/screenshots.py --nodes          only the nodes
python scripts/screenshots.py --nodes2         drawn as Nodes 2.0
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support" / "files"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support" / "pages"))

from browser import FLAGS, Site, prepare_user
from chromium import ADVICE, find_chromium
from example_files import write_examples
from host import find_or_build
from host_setup.pins import ROOT, HostError, say
from host_setup.server import Server
from patience import PATIENCE
from workflow_checks import MODEL_FILES, NAMES, path_of
from workflow_files.names import key_of, title_of

PICTURES, PAGES = ROOT / "docs" / "images" / "workflows", ROOT / "js" / "docs" / "images"
WIDTH = 1600  # pixels of a workflow's picture
MARGIN = 24  # around a node, on the canvas
LIMIT, SMALL = 44_000, 30_000  # bytes of a workflow's and of a node's picture
SETTINGS = {
    "Comfy.TutorialCompleted": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.Graph.CanvasInfo": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # letters at every zoom
}
# Some nodes are best seen in one workflow: the others are taken where they come first.
SEEN_IN = {"TICFTContext": "tic_ft_train_toy", "TICFTTrain": "tic_ft_train_toy"}
TRAINERS = ("TICFTTrain", "TuneAVideoTrain", "FewShotMotionTrain", "AICLTrain")
# So that a trainer's panel shows a run, and soon: widgets of the nodes of its workflow.
RUN = {
    **{kind: {"steps": 30, "batch_size": 1, "appearance_steps": 10} for kind in TRAINERS},
    "FewShotRunSettings": {"validate_every": 10, "sample_every": 30},
}

SET = """values => { for (const node of app.graph.nodes)
    for (const [name, value] of Object.entries(values[node.type] ?? {}))
        for (const widget of node.widgets.filter(w => w.name === name)) widget.value = value }"""
QUEUE = "async kind => await app.queuePrompt(0, 1, [String(app.graph.nodes.find(n => n.type === kind).id)])"
NAME = "kind => app.graph.nodes.filter(n => n.type === kind).forEach(n => { n.title = n.constructor.title })"
LOAD = "async ([name, graph]) => { await app.loadGraphData(graph, true, true, name) }"
BOXES = """() => [...app.graph.groups.map(g => [...g.pos, ...g.size]),
    ...app.graph.nodes.map(n => [n.pos[0], n.pos[1] - 30, n.size[0], n.size[1] + 30])]"""
BOX = """kind => { const n = app.graph.nodes.find(n => n.type === kind)
    return [n.pos[0], n.pos[1] - 30, n.size[0], n.size[1] + 30] }"""
LOOK = """async ([x, y, scale]) => { const view = app.canvas.ds
    view.scale = scale; view.offset = [-x, -y]; app.canvas.setDirty(true, true)
    await new Promise(done => setTimeout(done, 400))
    const place = app.canvas.canvas.getBoundingClientRect(); return [place.left, place.top] }"""
CLEAN = "() => app.extensionManager.command.execute('Workspace.ToggleFocusMode')"


@contextmanager
def open_site(nodes2: bool) -> Iterator[Site]:
    """A page of a running host, with nothing but the canvas.

    Raises:
        HostError: There is no browser.
    """
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise HostError(ADVICE)
    with tempfile.TemporaryDirectory(prefix="fewshot-pictures-") as folder:
        base = Path(folder)
        prepare_user(base)
        provide_files(base)
        with Server(find_or_build(), base=base, cpu=True) as server, sync_playwright() as playwright:
            server.post("/api/settings", SETTINGS | {"Comfy.VueNodes.Enabled": nodes2})
            browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.set_default_timeout(PATIENCE * 1000)
            site = Site(page, server, nodes2).open_template("tic_ft_zero_shot_toy")
            page.evaluate(CLEAN)
            yield site
            browser.close()


def provide_files(base: Path) -> None:
    """What workflows ask for, so that no node is red: models of no content, an example picture and clip."""
    for name, kind in MODEL_FILES.items():
        folder = base / ("output" if kind in ("tune_a_video", "aicl") else "models") / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (base / "input").mkdir()
    write_examples(base / "input")


def load(site: Site, name: str) -> None:
    """Open a workflow file."""
    graph = json.loads(path_of(name).read_text(encoding="utf-8"))
    site.page.evaluate(LOAD, [title_of(name), graph])


def shoot(site: Site, box: list[float], scale: float) -> Any:
    """A part of the canvas as a Pillow image: left, top, width and height, on the canvas."""
    from PIL import Image

    x, y, width, height = box
    size = {"width": round(width * scale), "height": round(height * scale)}
    site.page.set_viewport_size({"width": size["width"] + 100, "height": size["height"] + 100})
    left, top = site.page.evaluate(LOOK, [x, y, scale])
    return Image.open(io.BytesIO(site.page.screenshot(clip={"x": left, "y": top, **size})))


def save(picture: Any, path: Path, limit: int) -> None:
    """Write a webp below a size limit in bytes.

    Raises:
        HostError: No quality is small enough.
    """
    for quality in (85, 70, 55, 40, 25, 12):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() < limit:
            break
    else:
        raise HostError(f"{path.name} has {buffer.tell()} bytes, more than {limit}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    say(f"wrote {path.relative_to(ROOT)}, {buffer.tell() // 1000} kB")


def picture_workflow(site: Site, name: str) -> None:
    """The whole of a workflow."""
    load(site, name)
    shoot(site, [0, 0, 400, 300], 1.0)  # nodes find their heights when they are drawn
    boxes = site.page.evaluate(BOXES)
    left, top = (min(box[axis] for box in boxes) - MARGIN for axis in (0, 1))
    width, height = (max(box[axis] + box[axis + 2] for box in boxes) + MARGIN for axis in (0, 1))
    width, height = width - left, height - top
    picture = shoot(site, [left, top, width, height], WIDTH / width)
    save(picture, PICTURES / f"{name}.webp", LIMIT)


def picture_nodes(site: Site) -> None:
    """Every node of the pack that is in a workflow, once; those that train last, because a run takes a while."""
    places = where_nodes_are(site.host.object_info().get)
    for trainers in (False, True):
        for name, listed in places.items():
            kinds = [kind for kind in listed if (kind in TRAINERS) == trainers]
            if kinds:
                load(site, name)
            for kind in kinds:
                if trainers:
                    train(site, kind)
                picture_node(site, kind)


def picture_node(site: Site, kind: str) -> None:
    """The first node of a type in the open workflow, under its own name."""
    site.page.evaluate(NAME, kind)
    x, y, width, height = site.page.evaluate(BOX, kind)
    box = [x - MARGIN, y - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN]
    shoot(site, box, 1.0)  # drawn once, it has its height
    height = site.page.evaluate(BOX, kind)[3]
    save(shoot(site, [*box[:3], height + 2 * MARGIN], 1.0), PAGES / f"{kind}.webp", SMALL)


def train(site: Site, kind: str) -> None:
    """Run the trainer of the open workflow for a few steps, and nothing behind it.

    Raises:
        HostError: The run failed.
    """
    site.page.evaluate(SET, RUN)
    site.listen()
    site.page.evaluate(QUEUE, kind)
    if site.wait_done() != "execution_success":
        raise HostError(f"{kind} failed:\n{site.host.log_tail()}")
    site.page.wait_for_timeout(2000)  # the panel asks for the whole run once it has ended


def where_nodes_are(schema_of: Callable[[str], dict[str, Any] | None]) -> dict[str, list[str]]:
    """Nodes of the pack by the workflow that their picture is taken in; ``schema_of`` knows a node's schema."""
    found = dict(SEEN_IN)
    for name in sorted(NAMES, key=lambda name: ("toy" not in name, name)):
        for node in json.loads(path_of(name).read_text(encoding="utf-8"))["nodes"]:
            schema = schema_of(node["type"])
            if schema and schema["category"].startswith("FewShot Video"):
                found.setdefault(node["type"], name)
    return {name: [kind for kind, where in found.items() if where == name] for name in dict.fromkeys(found.values())}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write pictures of workflows and nodes.")
    parser.add_argument("names", nargs="*", help="keys or titles of workflows (default: all)")
    parser.add_argument("--nodes", action="store_true", help="only the nodes")
    parser.add_argument("--nodes2", action="store_true", help="drawn as Nodes 2.0")
    options = parser.parse_args(arguments)
    try:
        names = [key_of(name) for name in options.names] or NAMES
        with open_site(options.nodes2) as site:
            for name in [] if options.nodes else names:
                picture_workflow(site, name)
            if not options.names:
                picture_nodes(site)
    except ImportError as error:
        print(f"error: pictures need {error.name}; run this script with the Python of ComfyUI", file=sys.stderr)
        return 1
    except (HostError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
