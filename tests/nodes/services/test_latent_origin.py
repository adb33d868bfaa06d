"""A graph whose LATENT carries no layout is refused before its sampler runs, in the host's own executor."""

from __future__ import annotations

import asyncio
from typing import Any

import execution
import pytest
from comfy_execution.graph import DynamicPrompt
from comfy_extras.nodes_logic import SwitchNode
from server import PromptServer

import nodes as host_nodes
from pack.nodes.host.services.latent_origin import comes_without
from pack.nodes.tic_ft import TICFTContext, TICFTCrop

EMPTY = {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16, "batch_size": 1}}


def after(latent: list[Any], **further: Any) -> dict[str, Any]:
    """A node of the host through which a LATENT passes."""
    return {"class_type": "LatentUpscaleBy", "inputs": {"samples": latent, **further}}


def graph(**nodes: Any) -> DynamicPrompt:
    return DynamicPrompt({"crop": {"class_type": "TICFTCrop", "inputs": {"latent": ["last", 0]}}, **nodes})


def origin(prompt: DynamicPrompt) -> str:
    return comes_without(prompt, "crop", "latent", "TICFTContext")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The pack's nodes and a further one of the host's among the nodes, as the host's loader puts them there."""
    of_pack = "custom_nodes.fewshot-video"
    for node, module in ((TICFTContext, of_pack), (TICFTCrop, of_pack), (SwitchNode, "comfy_extras.nodes_logic")):
        schema = node.GET_SCHEMA()
        monkeypatch.setitem(host_nodes.NODE_CLASS_MAPPINGS, schema.node_id, node)
        monkeypatch.setattr(node, "RELATIVE_PYTHON_MODULE", module, raising=False)


def test_a_latent_that_the_host_made_alone_is_named():
    assert origin(graph(last=EMPTY)) == "EmptyLatentImage"
    titled = {**EMPTY, "_meta": {"title": "My empty latent"}}
    assert origin(graph(last=after(["middle", 0]), middle=after(["first", 0]), first=titled)) == "My empty latent"


def test_a_latent_of_a_context_or_of_what_is_not_known_passes():
    context = {"class_type": "TICFTContext", "inputs": {}}
    assert origin(graph(last=context)) == ""
    assert origin(graph(last=after(["first", 1]), first=context)) == ""
    assert origin(graph(last=after(["first", 0]), first={"class_type": "SomebodysNode", "inputs": {}})) == ""


@pytest.mark.parametrize(
    ("kind", "output", "maker"), [("TICFTContext", 1, ""), ("EmptyLatentImage", 0, "EmptyLatentImage")]
)
def test_a_switch_may_give_the_latent_of_a_context(kind, output, maker):
    sources = {"on_false": ["first", 0], "on_true": ["second", output]}
    nodes = {
        "last": {"class_type": "KSampler", "inputs": {"latent_image": ["switch", 0]}},
        "switch": {"class_type": "ComfySwitchNode", "inputs": {"switch": True, **sources}},
        "second": {"class_type": kind, "inputs": {}},
    }
    assert origin(graph(first=EMPTY, **nodes)) == maker


def test_the_model_of_a_context_does_not_make_its_latent():
    sampler = {"class_type": "KSampler", "inputs": {"model": ["context", 0], "latent_image": ["empty", 0]}}
    context = {"class_type": "TICFTContext", "inputs": {}}
    assert origin(graph(last=sampler, context=context, empty=EMPTY)) == "EmptyLatentImage"


def test_a_circle_and_a_missing_link_end():
    assert origin(graph(last=after(["last", 0]))) == ""
    assert origin(DynamicPrompt({"crop": {"class_type": "TICFTCrop", "inputs": {}}})) == ""


def test_the_executor_refuses_it_before_the_sampler_runs(monkeypatch):
    ran: list[str] = []
    generate = host_nodes.EmptyLatentImage.generate
    monkeypatch.setattr(host_nodes.EmptyLatentImage, "generate", lambda *a, **k: ran.append("") or generate(*a, **k))
    prompt = {
        "empty": EMPTY,
        "picture": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
        "crop": {
            "class_type": "TICFTCrop",
            "inputs": {"images": ["picture", 0], "latent": ["empty", 0], "keep": "target"},
        },
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["crop", 0]}},
    }
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(PromptServer, "instance", None, raising=False)  # a new server names itself there
    server = PromptServer(loop)
    executor = execution.PromptExecutor(
        server, execution.CacheType.CLASSIC, {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}
    )
    loop.run_until_complete(executor.execute_async(prompt, "1", {}, ["shown"]))
    loop.close()
    said = [values for name, values in executor.status_messages if name == "execution_error"]
    assert said[0]["exception_message"].startswith("the LATENT comes from EmptyLatentImage, which has no TIC-FT layout")
    assert ran == []
