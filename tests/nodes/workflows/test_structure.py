"""The workflows of real models run in ComfyUI on small random nets of the true classes, under the real file names."""

from __future__ import annotations

import io
import json
import re

import garbage
import pytest
import workflow_checks as workflows

av = pytest.importorskip("av")
torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

import tiny_files  # noqa: E402
from host import find_or_build  # noqa: E402
from host_setup.server import Server  # noqa: E402
from patience import PATIENCE  # noqa: E402

from pack.training.lora.file import read_metadata  # noqa: E402
from pack.training.lora.metadata import from_metadata  # noqa: E402

REAL = {name: workflow for name in workflows.NAMES if not workflows.is_toy(workflow := workflows.load(name))}
TRAINING = [name for name, workflow in REAL.items() if workflows.nodes_of(workflow, "TICFTTrain")]
BOTH = "tic_ft_train_wan22_14b"  # trains both experts
BERNINI = "bernini_with_tic_ft"
HUNYUAN = "tic_ft_hunyuan15"  # trains and samples
LOADERS = ("CLIPLoader", "DualCLIPLoader", "LTXAVTextEncoderLoader")
FORMS = {  # frames and frames a second of the video, layers of the LoRA
    "tic_ft_image_to_video_wan21_1_3b": (36, 16, 16),
    "tic_ft_image_to_video_wan22_5b": (36, 24, 16),
    "tic_ft_image_to_video_wan22_14b": (36, 16, 16),
    "tic_ft_image_to_video_cogvideox_5b": (36, 10, 8),
    "bernini_with_tic_ft": (36, 16, 16),
    "tic_ft_image_to_video_ltx2": (72, 24, 16),
    "tic_ft_long_video_wan21_1_3b": (49, 16, 16),
}
MOTION = ("motion_wan21_1_3b", "motion_cogvideox_5b", "motion_wan22_14b_i2v")
FROM_FILES = MOTION[:2]  # with a step that takes what was learned from a file
TUNED = "tune_a_video_sd15"
ACTIONS = ("aicl_wan21_1_3b", "aicl_cogvideox_5b")
EXPERTS, COGVIDEOX = (list(FORMS)[i] for i in (2, 3))
FILES = "tic_ft_lora_files_wan21_1_3b"
SMALL = {"width": tiny_files.SIZE, "height": tiny_files.SIZE, "rank": 2, "warmup_steps": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One ComfyUI for all of them, with small files under the documented names."""
    base = tmp_path_factory.mktemp("comfyui")
    tiny_files.write_files(base)
    garbage.spare_host(base)
    with Server(find_or_build(), base=base, cpu=not torch.cuda.is_available()) as running:
        yield running


@pytest.fixture(scope="module")
def schemas(server):
    return server.object_info()


def small(name: str, schemas, from_file: bool = False) -> workflows.Prompt:
    """The prompt of a workflow at a small size with few steps, its text encoder replaced by the toy model's.

    ``from_file`` takes the step that is bypassed, and not the one that trains.
    """
    file = workflows.with_other_step(REAL[name]) if from_file else REAL[name]
    prompt = workflows.shortened(workflows.to_prompt(file, schemas), train_steps=2, sample_steps=3)
    texts = {key for key, node in prompt.items() if node["class_type"] in LOADERS}
    assert texts or nodes(prompt, "CheckpointLoaderSimple")
    for key, node in prompt.items():
        inputs = node["inputs"]
        inputs |= {name: value for name, value in SMALL.items() if name in inputs}
        inputs |= {
            name: [value[0], 1] for name, value in inputs.items() if isinstance(value, list) and value[0] in texts
        }
        split = node["class_type"] == "KSamplerAdvanced" and inputs["end_at_step"] < 10000
        if split:  # the same split of a shorter schedule
            inputs |= {name: inputs[name] // 5 for name in ("steps", "start_at_step", "end_at_step")}
        if key in texts:
            node |= {"class_type": "FewShotToyVideoModel", "inputs": {}}
        if node["class_type"] == "CheckpointLoaderSimple" and "ltx" not in inputs["ckpt_name"]:  # of others only whole
            node |= {"class_type": "FewShotToyImageModel", "inputs": {}}
    return prompt


def nodes(prompt: workflows.Prompt, kind: str) -> list[dict]:
    """Inputs of its nodes of a type."""
    return [node["inputs"] for node in prompt.values() if node["class_type"] == kind]


def run(server, prompt: workflows.Prompt) -> tuple[dict, str]:
    """Outputs by node, and what the host logged meanwhile."""
    log = server.base / "host.log"
    start = log.stat().st_size
    outputs = server.wait(server.queue(prompt), timeout=PATIENCE)["outputs"]
    return outputs, log.read_bytes()[start:].decode(errors="replace")


def video_of(server, prompt: workflows.Prompt, outputs: dict) -> tuple[torch.Tensor, float]:
    """Frames ``[T, H, W, 3]`` of the one saved video, and its frames a second."""
    (key,) = (key for key, node in prompt.items() if node["class_type"] == "SaveVideo")
    file = outputs[key]["images"][0]
    with av.open(io.BytesIO(server.view(file["filename"], file["subfolder"], file["type"]))) as container:
        frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        return torch.stack(frames), float(container.streams.video[0].average_rate)


def test_every_workflow_of_a_real_model_is_run_here():
    assert sorted([*FORMS, *TRAINING, FILES, *MOTION, TUNED, *ACTIONS]) == sorted(REAL)


def test_a_lora_is_converted_and_its_record_shown(server, schemas):
    training = small("tic_ft_train_wan21_1_3b", schemas)
    nodes(training, "TICFTTrain")[0] |= {"seed": 1, "run_name": "another"}  # so that it runs
    lora = lora_of(run(server, training)[1], server)[1]
    prompt = workflows.to_prompt(REAL[FILES], schemas)
    for kind in ("FewShotConvertLoRA", "FewShotRunRecord"):
        nodes(prompt, kind)[0]["lora_name"] = lora
    outputs, _ = run(server, prompt)
    shown = [text for output in outputs.values() for text in output.get("text", [])]
    assert any(text.endswith("_diffusers_00001_.safetensors") for text in shown)
    assert any("2506.00996" in text for text in shown)


def lora_of(log: str, server) -> tuple[str, str]:
    """Number of adapters, and name in the loaders' list, of the LoRA that a log says was saved."""
    saved = re.search(r"saved (\d+) layers after 2 steps to (.*)", log)
    assert saved
    return saved[1], str((server.output / "loras").joinpath(saved[2].strip()).relative_to(server.output / "loras"))


@pytest.mark.parametrize("name", FORMS)
def test_it_samples_with_its_loras_and_makes_exactly_its_frames(name, server, schemas):
    prompt = small(name, schemas)
    outputs, log = run(server, prompt)
    count, fps, layers = FORMS[name]
    frames, rate = video_of(server, prompt, outputs)
    assert frames.shape == (count, tiny_files.SIZE, tiny_files.SIZE, 3)
    assert rate == pytest.approx(fps)
    loras = [loader["lora_name"] for loader in nodes(prompt, "TICFTLoadLoRA")]
    assert loras
    for lora in loras:
        assert f"{lora}: {layers} of {layers} layers applied at strength 0.75" in log


@pytest.mark.parametrize("part", ["high_noise", "low_noise"])
def test_both_experts_of_wan_22_14b_make_the_video(part, server, schemas):
    prompt = small(EXPERTS, schemas)
    whole = video_of(server, prompt, run(server, prompt)[0])[0]
    (loader,) = (inputs for inputs in nodes(prompt, "UNETLoader") if part in inputs["unet_name"])
    loader["unet_name"] = "wan2.1_t2v_1.3B_fp16.safetensors"
    other = video_of(server, prompt, run(server, prompt)[0])[0]
    assert (other.float() - whole.float()).abs().mean() > 1


def test_a_reference_of_berninis_own_is_seen_beside_the_condition(server, schemas):
    prompt = small(BERNINI, schemas)
    whole = video_of(server, prompt, run(server, prompt)[0])[0]
    del nodes(prompt, "BerniniConditioning")[0]["reference_images.reference_image_0"]
    other = video_of(server, prompt, run(server, prompt)[0])[0]
    assert (other.float() - whole.float()).abs().mean() > 1


def test_hunyuanvideo_15_is_trained_and_samples_in_one_graph(server, schemas):
    prompt = small(HUNYUAN, schemas)
    outputs, log = run(server, prompt)
    layers, lora = lora_of(log, server)
    assert layers == "8"  # of two blocks: a fused and a plain projection of each stream
    record = from_metadata(read_metadata(server.output / "loras" / lora))
    assert record["base_family"] == "HunyuanVideo 1.5"
    assert (record["steps"], record["finished"]) == ("2", "true")
    frames, rate = video_of(server, prompt, outputs)
    assert frames.shape == (36, tiny_files.SIZE, tiny_files.SIZE, 3)
    assert rate == pytest.approx(24)
    (loader,) = nodes(prompt, "LoraModelLoader")
    loader["strength_model"] = 0.0
    plain = video_of(server, prompt, run(server, prompt)[0])[0]
    assert (frames.float() - plain.float()).abs().mean() > 0


def test_both_experts_of_wan_22_14b_get_a_lora_that_samples(server, schemas):
    prompt = small(BOTH, schemas)
    _, log = run(server, prompt)
    assert len(re.findall(r"saved 16 layers after 2 steps to", log)) == 2
    stems = [inputs["filename"] for inputs in nodes(prompt, "FewShotSaveLoRA")]
    saved = {stem: sorted((server.output / "loras").glob(f"{stem}_*.safetensors"))[-1] for stem in stems}
    for stem, path in saved.items():
        record = from_metadata(read_metadata(path))
        assert record["expert"].replace(" ", "_") in stem
        assert (json.loads(record["target_latents"]), record["steps"], record["finished"]) == (9, "2", "true")
    sampling = small(EXPERTS, schemas)
    for loader in nodes(sampling, "TICFTLoadLoRA"):
        (part,) = (part for part in ("high_noise", "low_noise") if part in loader["lora_name"])
        loader["lora_name"] = next(path.name for stem, path in saved.items() if part in stem)
    outputs, log = run(server, sampling)
    assert log.count("16 of 16 layers applied at strength 0.75") == 2
    assert len(video_of(server, sampling, outputs)[0]) == FORMS[EXPERTS][0]


@pytest.mark.parametrize("name", [name for name in TRAINING if name not in (BOTH, HUNYUAN)])
def test_it_trains_a_lora_that_samples(name, server, schemas):
    outputs, log = run(server, small(name, schemas))
    assert outputs
    stem = nodes(small(name, schemas), "FewShotSaveLoRA")[0]["filename"]
    record = from_metadata(read_metadata(server.output / "loras" / f"{stem}_00001_.safetensors"))
    (folder,) = nodes(small(name, schemas), "FewShotDatasetFolder")
    assert json.loads(record["task"]) == "image to video"
    assert json.loads(record["target_latents"]) == 9
    assert json.loads(record["fps"]) == folder["fps"]
    assert (record["steps"], record["finished"]) == ("2", "true")

    layers, lora = lora_of(log, server)
    prompt = small(stem, schemas)
    nodes(prompt, "TICFTLoadLoRA")[0]["lora_name"] = lora
    outputs, log = run(server, prompt)
    assert f"{lora}: {layers} of {layers} layers applied" in log
    assert len(video_of(server, prompt, outputs)[0]) == FORMS[stem][0]


def test_cogvideox_says_that_its_inputs_are_scaled(server, schemas):
    prompt = small(COGVIDEOX, schemas)
    nodes(prompt, "TICFTLoadLoRA")[0]["strength"] = 0.5  # so that it runs again
    assert "the host does not scale what CogVideoX 5B sees; this model does it right" in run(server, prompt)[1]


@pytest.mark.parametrize("name", MOTION)
def test_a_motion_is_learned_and_used(name, server, schemas):
    prompt = small(name, schemas)
    frames, _ = video_of(server, prompt, run(server, prompt)[0])
    assert frames.shape == (49, tiny_files.SIZE, tiny_files.SIZE, 3)


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_motion_learned_before_is_used_without_its_clip(name, server, schemas):
    first = small(name, schemas)
    nodes(first, "FewShotMotionTrain")[0]["seed"] = 1
    run(server, first)
    saved = sorted((server.output / "loras").glob(f"{nodes(first, 'FewShotSaveLoRA')[0]['filename']}_*.safetensors"))
    prompt = small(name, schemas, from_file=True)
    assert not nodes(prompt, "FewShotMotionTrain")
    nodes(prompt, "FewShotMotionLoad")[0]["lora_name"] = saved[-1].name
    nodes(prompt, "LoadVideo")[0]["file"] = "no_such_clip.mp4"
    frames, _ = video_of(server, prompt, run(server, prompt)[0])
    assert frames.shape == (49, tiny_files.SIZE, tiny_files.SIZE, 3)


def test_a_clip_is_tuned_on_and_edited_and_edited_again_from_the_file(server, schemas):
    first = small(TUNED, schemas)
    nodes(first, "TuneAVideoTrain")[0] |= {"run_name": "my_clip"}
    made, _ = video_of(server, first, run(server, first)[0])
    side = tiny_files.SIZE
    assert made.shape == (24, side, 4 * side + 12, 3)  # the clip and its three edits, 4 pixels apart
    (saved,) = (server.output / "tune_a_video" / "my_clip").glob("*.safetensors")
    prompt = small(TUNED, schemas, from_file=True)
    assert not nodes(prompt, "TuneAVideoTrain")
    nodes(prompt, "TuneAVideoLoad")[0]["name"] = str(saved.relative_to(server.output / "tune_a_video"))
    again, _ = video_of(server, prompt, run(server, prompt)[0])
    assert (again.float() - made.float()).abs().mean() < 1


@pytest.mark.parametrize("name", ACTIONS)
def test_an_adapter_is_trained_and_used_and_used_again_from_its_file(name, server, schemas):
    first = small(name, schemas)
    frames, _ = video_of(server, first, run(server, first)[0])
    assert frames.shape == (49, tiny_files.SIZE, tiny_files.SIZE, 3)
    folder = server.output / "aicl"
    (saved,) = (folder / name).glob("*.safetensors")  # the run has the name of its workflow
    prompt = small(name, schemas, from_file=True)
    assert not nodes(prompt, "AICLTrain")
    nodes(prompt, "AICLLoad")[0]["name"] = str(saved.relative_to(folder))
    again, _ = video_of(server, prompt, run(server, prompt)[0])
    assert (again.float() - frames.float()).abs().mean() < 1
