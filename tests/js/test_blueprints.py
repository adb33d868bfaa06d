"""Blueprints in the page: the node library offers them, and each runs when it is dropped into a graph."""

from __future__ import annotations

from typing import Any

import pytest
import workflow_checks as workflows
from browser import TRIES, Site, came_about
from example_files import write_examples
from host_setup.server import Server
from workflow_files.blocks.blueprints import (
    LORA,
    action,
    all_blueprints,
    edit,
    image_to_video,
    motion,
    train_on_a_folder,
)
from workflow_files.graph import Graph, Wire
from workflow_files.steps import Base, add_video
from workflow_files.toy import add_clips
from workflow_files.writer import Writer

NAMES = [block.title for block in all_blueprints()]
FOLDER = "my_clips"
SMALL = {"width": 64, "height": 64}
FEW = {"steps": 2}


@pytest.fixture
def pairs(host: Server) -> str:
    """A folder of pairs for the toy model among the user's input."""
    folder = host.base / "input" / FOLDER
    folder.mkdir(exist_ok=True)
    picture, clip = write_examples(folder)
    picture.rename(folder / "one.condition.png")
    clip.rename(folder / "one.mp4")
    (folder / "one.txt").write_text("a disc")
    return FOLDER


def graph() -> tuple[Graph, Base]:
    """A workflow with the toy model loaded."""
    made = Graph("tic_ft_zero_shot_toy", "blocks")
    with made.group("Load"):
        node = made.add("FewShotToyVideoModel", detail="coarse")
    return made, Base(node["model"], node["clip"], node["vae"])


def sockets(base: Base) -> dict[str, Wire]:
    return {"model": base.model, "clip": base.clip, "vae": base.vae}


def training(folder: str) -> Graph:
    made, base = graph()
    with made.group("Train"):
        sizes = {**SMALL, "frames": 12, "fps": 12.0}
        made.add_block(train_on_a_folder(), folder=folder, rank=4, **sizes, **FEW, **sockets(base))
    return made


def using() -> Graph:
    """Every other block on its toy model, to a video."""
    made, base = graph()
    with made.group("Data"):
        drawn = add_clips(made, "one clip", "training", 1)
        clip = made.add("FewShotDatasetItem", dataset=drawn, index=0)["target"]
        image = made.add("ImageFromBatch", image=clip, batch_index=0, length=1)["IMAGE"]
    with made.group("Blocks"):
        size = {**SMALL, "fps": 12.0}
        words = {"lora_name": f"{LORA}_00001_.safetensors", "caption": "a disc"}
        video = made.add_block(image_to_video(), image=image, frames=12, **words, **size, **FEW, **sockets(base))
        made.add("SaveVideo", video=video["video"], filename_prefix="blocks/tic_ft", format="auto", codec="auto")
        known = {"caption": "a disc", "still_caption": "a disc", "frames": 9, "appearance_steps": 2}
        moving = made.add_block(motion(), video=clip, **known, **size, **FEW, **sockets(base))
        _sample(made, base, moving["model"], "blocks/motion")
        told = {"adapter": "toy_actions.safetensors", "caption": "a disc"}  # the one of the coarse toy model
        acting = made.add_block(action(), video=clip, **told, **sockets(base))
        _sample(made, base, acting["model"], "blocks/aicl")
        node = made.add("FewShotToyImageModel")
        image_base = Base(node["model"], node["clip"], node["vae"])
        words = {"caption": "a disc", "edit": "a square", "frames": 6, "sampling_steps": 2}
        again = made.add_block(edit(), video=clip, **words, **size, **FEW, **sockets(image_base))
        add_video(made, again["images"], 12.0, "blocks/tune_a_video")
    return made


def _sample(made: Graph, base: Base, model: Wire, prefix: str) -> None:
    text = made.add("CLIPTextEncode", clip=base.clip, text="a square")["CONDITIONING"]
    latent = made.add("EmptyHunyuanLatentVideo", length=9, batch_size=1, **SMALL)["LATENT"]
    sampled = made.add(
        "KSampler", model=model, positive=text, negative=text, latent_image=latent, seed=0, steps=2, cfg=1.0,
        sampler_name="euler", scheduler="simple", denoise=1.0,
    )["LATENT"]  # fmt: skip
    add_video(made, made.add("VAEDecode", samples=sampled, vae=base.vae)["IMAGE"], 12.0, prefix)


def run(site: Site, made: Graph, schemas: dict[str, Any]) -> dict[str, Any]:
    """Open a graph in the page and press Run; what the host keeps of it."""
    workflow = Writer(made, schemas).write()
    site.open_graph(workflow)
    prompt = site.graph()["output"]
    for node in prompt.values():
        del node["_meta"]
    assert prompt == workflows.to_prompt(workflow, schemas)
    site.queue()
    assert site.wait_done() == "execution_success", site.page.evaluate("() => JSON.stringify(window.__done)")
    return prompt


def searching(site: Site) -> bool:
    """Whether a double click on the canvas opens the search; a page that still draws may miss it."""
    site.page.mouse.dblclick(700, 500)
    return came_about(lambda timeout: site.page.wait_for_selector("input:focus", timeout=timeout))


def test_the_page_knows_every_blueprint(site: Site):
    site.open_template("tic_ft_zero_shot_toy")
    listed = site.host.get("/global_subgraphs")
    ours = {entry["name"] for entry in listed.values() if entry["source"] == "custom_node"}
    assert ours == set(NAMES)
    site.page.evaluate("() => app.graph.clear()")
    site.until(lambda: searching(site), "the search for a node", TRIES)
    site.page.keyboard.type(NAMES[2])
    site.page.get_by_text(NAMES[2], exact=True).first.wait_for()
    site.page.keyboard.press("Enter")
    dropped = "() => app.graph.nodes.map(n => [n.title, n.isSubgraphNode?.()])"
    site.until(lambda: site.page.evaluate(dropped), "a node on the canvas")
    assert site.page.evaluate(dropped) == [[NAMES[2], True]]
    site.page.keyboard.press("Escape")


def test_every_blueprint_runs_in_a_graph(own_site: Site, pairs: str):
    site = own_site
    schemas = site.host.object_info()
    site.open_template("tic_ft_zero_shot_toy")
    run(site, training(pairs), schemas)
    assert list((site.host.base / "output" / "loras").glob(f"{LORA}*.safetensors"))
    run(site, using(), schemas)
    made = {path.stem.rsplit("_", 2)[0] for path in (site.host.base / "output" / "blocks").glob("*.mp4")}
    assert made == {"tic_ft", "motion", "aicl", "tune_a_video"}
