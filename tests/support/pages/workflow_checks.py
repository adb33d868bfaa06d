"""The shipped workflow files, and what must hold for every one of them."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

from workflow_files.names import TITLES  # noqa: E402
from workflow_files.prompt import BYPASSED, shortened, to_prompt, widget_count  # noqa: E402
from workflow_files.schema import NOTES, read_inputs  # noqa: E402

__all__ = ["BYPASSED", "NOTES", "TITLES", "read_inputs", "shortened", "to_prompt", "widget_count"]

FOLDER, BLUEPRINTS = ROOT / "workflows", ROOT / "subgraphs"
NAMES = sorted(TITLES)  # keys
ABSOLUTE = re.compile(r"^(/|~|\\\\|[A-Za-z]:[\\/])|/(home|root|tmp|Users|work)/")
MODEL_FILES = {
    "wan2.1_t2v_1.3B_fp16.safetensors": "diffusion_models",
    "wan2.2_ti2v_5B_fp16.safetensors": "diffusion_models",
    "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors": "diffusion_models",
    "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors": "diffusion_models",
    "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors": "diffusion_models",
    "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors": "diffusion_models",
    "wan2.2_bernini_r_high_noise_fp8_scaled.safetensors": "diffusion_models",
    "wan2.2_bernini_r_low_noise_fp8_scaled.safetensors": "diffusion_models",
    "hunyuanvideo1.5_720p_t2v_fp16.safetensors": "diffusion_models",
    "qwen_2.5_vl_7b_fp8_scaled.safetensors": "text_encoders",
    "byt5_small_glyphxl_fp16.safetensors": "text_encoders",
    "hunyuanvideo15_vae_fp16.safetensors": "vae",
    "cogvideox_5b_bf16.safetensors": "diffusion_models",
    "ltx-2.3-22b-dev-fp8.safetensors": "checkpoints",
    "gemma_3_12B_it_fp4_mixed.safetensors": "text_encoders",
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors": "text_encoders",
    "t5xxl_fp16.safetensors": "text_encoders",
    "v1-5-pruned-emaonly-fp16.safetensors": "checkpoints",
    "wan_2.1_vae.safetensors": "vae",
    "Wan2_1_VAE_bf16.safetensors": "vae",
    "wan2.2_vae.safetensors": "vae",
    "cogvideox_vae.safetensors": "vae",
    "tic_ft_image_to_video_wan21_1_3b_00001_.safetensors": "loras",
    "tic_ft_long_video_wan21_1_3b_00001_.safetensors": "loras",
    "tic_ft_image_to_video_wan22_5b_00001_.safetensors": "loras",
    "tic_ft_image_to_video_wan22_14b_high_noise_00001_.safetensors": "loras",
    "tic_ft_image_to_video_wan22_14b_low_noise_00001_.safetensors": "loras",
    "bernini_with_tic_ft_high_noise_00001_.safetensors": "loras",
    "bernini_with_tic_ft_low_noise_00001_.safetensors": "loras",
    "tic_ft_image_to_video_cogvideox_5b_00001_.safetensors": "loras",
    "tic_ft_image_to_video_ltx2_00001_.safetensors": "loras",
    "motion_wan21_1_3b_00001_.safetensors": "loras",
    "motion_cogvideox_5b_00001_.safetensors": "loras",
    "my_clip_00001_.safetensors": "tune_a_video",
    "aicl_wan21_1_3b_00001_.safetensors": "aicl",
    "aicl_cogvideox_5b_00001_.safetensors": "aicl",
}
SHIPPED = "toy_fine_actions.safetensors"  # comes with the pack
TOY_MODELS = ("FewShotToyVideoModel", "FewShotToyImageModel")
INPUT_FILES = ("example.png", "my_clip.mp4")
CLIP_FOLDER = "my_clips"  # below the input folder
ACTION_FOLDER = "my_actions"  # the same, one sub-folder an action

Workflow = dict[str, Any]


def load(name: str) -> Workflow:
    """A workflow file by its key."""
    return json.loads(path_of(name).read_text(encoding="utf-8"))


def path_of(name: str, suffix: str = ".json") -> Path:
    """The file of a key, or its picture."""
    return FOLDER / f"{TITLES[name]}{suffix}"


def blocks_of(workflow: Mapping[str, Any]) -> list[Workflow]:
    """Its subgraphs, in the form of workflows: with nodes for the two ends, and links as lists."""
    return [_as_workflow(block) for block in workflow.get("definitions", {}).get("subgraphs", [])]


def _as_workflow(block: Mapping[str, Any]) -> Workflow:
    ends = [(block["inputNode"], [], block["inputs"]), (block["outputNode"], block["outputs"], [])]
    nodes = [
        {
            "id": end["id"],
            "type": "MarkdownNote",  # known to no host
            "pos": end["bounding"][:2],
            "size": end["bounding"][2:],
            "inputs": [{**slot, "link": slot["linkIds"][0]} for slot in taken],
            "outputs": [{**slot, "links": slot["linkIds"]} for slot in given],
        }
        for end, taken, given in ends
    ]
    links = [list(link.values()) for link in block["links"]]
    return {"nodes": [*block["nodes"], *nodes], "links": links, "groups": block["groups"]}


def block_problems(block: Mapping[str, Any]) -> list[str]:
    """The same of a subgraph, whose inputs may lead to several nodes."""
    nodes = {node["id"]: node for node in block["nodes"] if node["id"] > 0}
    links = block["links"]
    found = [*_dangling({"nodes": list(nodes.values())}, {link[0]: link for link in links})]
    found += [problem for link in links if link[1] > 0 and link[3] > 0 for problem in _ends(nodes, link)]
    for number, source, output, target, slot, kind in links:
        if source < 0:
            end = nodes[target]["inputs"][slot]
            known = end["link"] == number and fits(kind, end["type"])
        else:
            known = target > 0 or number in (nodes[source]["outputs"][output]["links"] or [])
        if not known:
            found.append(f"an end of link {number} does not know it, or has another type")
    return found


def every_node(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its nodes, those in its blocks included and the blocks' own left out."""
    blocks = workflow.get("definitions", {}).get("subgraphs", [])
    kinds = {block["id"] for block in blocks}
    outside = [node for node in workflow["nodes"] if node["type"] not in kinds]
    return outside + [node for block in blocks for node in block["nodes"]]


def is_toy(workflow: Mapping[str, Any]) -> bool:
    """Whether it runs with nothing downloaded."""
    return any(node["type"] in TOY_MODELS for node in every_node(workflow))


def nodes_of(workflow: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Its nodes of a type."""
    return [node for node in workflow["nodes"] if node["type"] == kind]


def fits(output: str, wanted: str) -> bool:
    """Whether an output of a type may be wired to an input, which may take several types."""
    return "*" in (output, wanted) or bool(set(output.split(",")) & set(wanted.split(",")))


def link_problems(workflow: Mapping[str, Any]) -> list[str]:
    """Links whose ends are missing, do not know of them, or have other types."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    return [
        *(problem for link in workflow["links"] for problem in _ends(nodes, link)),
        *_dangling(workflow, links),
    ]


def _ends(nodes: Mapping[int, Any], link: list[Any]) -> Iterator[str]:
    number, source, output, target, slot, kind = link
    try:
        start, end = nodes[source]["outputs"][output], nodes[target]["inputs"][slot]
    except (KeyError, IndexError):
        yield f"link {number} has an end that does not exist"
        return
    if number not in (start["links"] or []) or end["link"] != number:
        yield f"an end of link {number} does not know it"
    if start["type"] != kind or not fits(kind, end["type"]):
        yield f"link {number} of type {kind} joins {start['type']} to {end['type']}"


def _dangling(workflow: Mapping[str, Any], links: Mapping[int, Any]) -> Iterator[str]:
    for node in workflow["nodes"]:
        named = [socket["link"] for socket in node["inputs"] if socket["link"] is not None]
        named += [number for output in node["outputs"] for number in output["links"] or []]
        yield from (f"node {node['id']} names link {n}, which is not there" for n in named if n not in links)


def texts_of(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from texts_of(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts_of(entry)


def box(node: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a node on the canvas, its title included."""
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - 30, x + width, y + height


def overlaps(workflow: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Pairs of nodes that lie on each other."""
    boxes = [(node["id"], box(node)) for node in workflow["nodes"]]
    return [
        (one, other)
        for i, (one, a) in enumerate(boxes)
        for other, b in boxes[i + 1 :]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def schema_problems(workflow: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[str]:
    """Nodes whose sockets or widgets are not those of the host's schema."""
    nodes = [node for node in every_node(workflow) if node["type"] not in NOTES]
    return [problem for node in nodes for problem in _node_problems(node, schemas)]


def _node_problems(node: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    label = f"node {node['id']} ({node['type']})"
    if node["type"] not in schemas:
        yield f"{label} is unknown to the host"
        return
    schema = schemas[node["type"]]
    inputs = {entry.name: entry for entry in read_inputs(schema)}
    for socket in node["inputs"]:
        if socket["name"] not in inputs or inputs[socket["name"]].type != socket["type"]:
            yield f"{label}: input {socket['name']} of type {socket['type']} is not in the schema"
    if [output["type"] for output in node["outputs"]] != schema["output"]:
        yield f"{label}: its outputs are not the schema's {schema['output']}"
    if len(node["widgets_values"]) != widget_count(node, schema):
        yield f"{label} has {len(node['widgets_values'])} widget values, not {widget_count(node, schema)}"


def steps_of(workflow: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Its nodes by the group they lie in."""
    return [
        [node for node in workflow["nodes"] if _inside(box(node), group["bounding"])] for group in workflow["groups"]
    ]


def _inside(edges: tuple[float, float, float, float], bounding: list[float]) -> bool:
    x, y, width, height = bounding
    left, top, right, bottom = edges
    return x <= left and y <= top and right <= x + width and bottom <= y + height


def with_other_step(workflow: Workflow) -> Workflow:
    """A copy in which the bypassed step has taken the place of the one before it, as its note says."""
    other = copy.deepcopy(workflow)
    steps = steps_of(other)
    number = next(i for i, step in enumerate(steps) if step[0]["mode"] == BYPASSED)
    for node in steps[number - 1] + steps[number]:
        node["mode"] = BYPASSED - node["mode"]
    return other


def upstream(workflow: Mapping[str, Any], node: Mapping[str, Any], socket: str) -> list[dict[str, Any]]:
    """The nodes behind an input up to its file; an output goes on at the input of its name, else the first one."""
    nodes = {entry["id"]: entry for entry in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    found: list[dict[str, Any]] = []
    entry: dict[str, Any] | None = next(entry for entry in node["inputs"] if entry["name"] == socket)
    while entry is not None:
        source, output = nodes[links[entry["link"]][1]], links[entry["link"]][2]
        found.append(source)
        name = source["outputs"][output]["name"]
        wired = [entry for entry in source["inputs"] if entry["link"] is not None]
        entry = next((entry for entry in wired if entry["name"] == name), wired[0] if wired else None)
    return found
