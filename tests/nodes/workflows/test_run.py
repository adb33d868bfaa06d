"""Every workflow in a real ComfyUI: the toy ones run, the others pass its validation."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json

import garbage
import pytest
import workflow_checks as workflows

av = pytest.importorskip("av")
torch = pytest.importorskip("torch")

from host import find_or_build  # noqa: E402
from host_setup.pins import PINS, HostError  # noqa: E402
from host_setup.server import Server  # noqa: E402
from patience import PATIENCE  # noqa: E402

every_file = pytest.mark.parametrize("name", workflows.NAMES)
TOY = [name for name in workflows.NAMES if workflows.is_toy(workflows.load(name))]
FOOTAGE = pytest.mark.skipif(
    importlib.util.find_spec("comfyui_workflow_templates_media_video") is None,
    reason="this ComfyUI comes without the clips of its templates",
)
RUNNING = [pytest.param(name, marks=[FOOTAGE] * ("template_clips" in name)) for name in TOY]
OTHERS = sorted(set(workflows.NAMES) - set(TOY))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One ComfyUI for all of them, with empty files under the documented names."""
    base = tmp_path_factory.mktemp("comfyui")
    for name, folder in workflows.MODEL_FILES.items():
        (base / "models" / folder).mkdir(parents=True, exist_ok=True)
        (base / "models" / folder / name).touch()
    for name in (workflows.CLIP_FOLDER, workflows.ACTION_FOLDER):
        (base / "input" / name).mkdir(parents=True)
    for name in workflows.INPUT_FILES:
        (base / "input" / name).touch()
    garbage.spare_host(base)
    with Server(find_or_build(), base=base, cpu=not torch.cuda.is_available()) as running:
        yield running


@pytest.fixture(scope="module")
def schemas(server):
    return server.object_info()


@pytest.fixture
def pinned_schemas(server, schemas):
    """Schemas of a host the files are written for; what a later one makes of core's nodes is not known."""
    if server.host.version not in PINS:
        pytest.skip(f"the files are written for the nodes of ComfyUI {' and '.join(PINS)}")
    return schemas


def frames_of(server, file: dict[str, str]) -> int:
    """Number of frames of a saved video, by decoding it."""
    data = server.view(file["filename"], file["subfolder"], file["type"])
    with av.open(io.BytesIO(data)) as container:
        return sum(1 for _ in container.decode(video=0))


@every_file
def test_sockets_and_widgets_are_those_of_the_schemas(name, pinned_schemas):
    assert workflows.schema_problems(workflows.load(name), pinned_schemas) == []


def test_a_widget_value_too_few_or_an_unknown_socket_is_noticed(pinned_schemas):
    for key in ("widgets_values", "outputs"):
        workflow = workflows.load("tic_ft_zero_shot_toy")
        workflows.nodes_of(workflow, "KSampler")[0][key].pop()
        assert len(workflows.schema_problems(workflow, pinned_schemas)) == 1


def test_the_files_are_what_their_descriptions_say(pinned_schemas):
    from workflow_files.catalogue import all_graphs
    from workflow_files.writer import Writer

    assert {graph.name: Writer(graph, pinned_schemas).write() for graph in all_graphs()} == {
        name: workflows.load(name) for name in workflows.NAMES
    }


def frames_wanted(prompt) -> int:
    """Frames of every video that a prompt saves."""
    where = {"TICFTContext": "target_frames", "EmptyHunyuanLatentVideo": "length", "ImageFromBatch": "length",
             "TICFTLongVideo": "frames"}  # fmt: skip
    found = [node["inputs"][where[node["class_type"]]] for node in prompt.values() if node["class_type"] in where]
    return found[0]


@pytest.mark.parametrize("name", RUNNING)
def test_a_toy_workflow_runs_and_makes_exactly_its_frames(name, server, schemas):
    prompt = workflows.shortened(workflows.to_prompt(workflows.load(name), schemas))
    outputs = server.wait(server.queue(prompt), timeout=PATIENCE)["outputs"]
    videos = [key for key, node in prompt.items() if node["class_type"] == "SaveVideo"]
    assert videos
    for key in videos:
        assert frames_of(server, outputs[key]["images"][0]) == frames_wanted(prompt)
    tasks = [node["inputs"]["task"] for node in prompt.values() if node["class_type"] == "TICFTTrain"]
    for task in tasks:
        assert list((server.output / "loras" / f"tic_ft_{task.replace(' ', '_')}").glob("*.safetensors"))


def complaints(server, prompt) -> str:
    """What the host's validation says; empty when all is well. Outputs without an error are run."""
    try:
        answer = server.post("/prompt", {"prompt": prompt})
    except HostError as refused:
        return str(refused)
    with contextlib.suppress(HostError):  # the model files are empty
        server.wait(answer["prompt_id"], timeout=PATIENCE)
    return json.dumps(answer["node_errors"]) if answer["node_errors"] else ""


@pytest.mark.parametrize("name", OTHERS)
def test_a_workflow_of_a_real_model_passes_validation(name, server, schemas):
    assert complaints(server, workflows.to_prompt(workflows.load(name), schemas)) == ""


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_file_that_is_not_there_does_not_pass(name, server, schemas):
    prompt = workflows.to_prompt(workflows.load(name), schemas)
    inputs, name = next(
        (node["inputs"], name)
        for node in prompt.values()
        for name, value in node["inputs"].items()
        if isinstance(value, str) and value in workflows.MODEL_FILES
    )
    inputs[name] = "another_file.safetensors"
    assert "value_not_in_list" in complaints(server, prompt)
