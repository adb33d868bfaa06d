"""The demo: its prompts, its table and contact sheet, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import demo
import demo_report
import numpy as np
import pytest
from demo_prompts import ARMS, GROUND_TRUTH, Plan, clip_prompt, only, training_prompt, truth_prompt
from demo_run import RECORD, Run, finished
from demo_sheet import FRAMES, GAP, HEAD, LABEL, Row, draw_sheet, picks
from host_setup.pins import Host, HostError

PLAN = Plan(pairs=3, steps=5, test=2, seed=4, cfg=1.5, sampling_steps=6)
WITH, WITHOUT, ZERO_SHOT, _ = ARMS


def node(class_type: str, **inputs) -> dict:
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture
def workflow() -> dict:
    """The shape of the shipped workflow: training, sampling, two saved videos and a preview."""
    return {
        "1": node("FewShotToyVideoModel"),
        "2": node("FewShotToyClips", kind="keyframes", count=12, seed=0),
        "3": node("FewShotEncodeDataset", dataset=["2", 0], vae=["1", 2], clip=["1", 1]),
        "4": node("TICFTTrain", model=["1", 0], encoded=["3", 0], rank=8, seed=0, validation=["3", 0]),
        "5": node("LoraModelLoader", model=["1", 0], lora=["4", 0], strength_model=1.0),
        "6": node("TICFTPrompt", target_text="", settings=["4", 4]),
        "7": node("CLIPTextEncode", clip=["1", 1], text=["6", 0]),
        "8": node("TICFTContext", model=["5", 0], vae=["1", 2], settings=["4", 4]),
        "9": node("KSampler", model=["8", 0], latent_image=["8", 1], positive=["7", 0], negative=["7", 0]),
        "10": node("TICFTCrop", images=["9", 0], latent=["9", 0]),
        "11": node("CreateVideo", images=["10", 0], fps=12.0),
        "12": node("SaveVideo", video=["11", 0], filename_prefix="a"),
        "13": node("CreateVideo", images=["2", 0], fps=12.0),
        "14": node("SaveVideo", video=["13", 0], filename_prefix="b"),
        "15": node("LossGraphNode", loss=["4", 1]),
    }


def classes(prompt: dict) -> list[str]:
    return sorted(entry["class_type"] for entry in prompt.values())


def of_class(prompt: dict, class_type: str) -> dict:
    (found,) = (entry["inputs"] for entry in prompt.values() if entry["class_type"] == class_type)
    return found


def test_a_training_prompt_ends_at_the_trainer_with_the_plan_s_settings(workflow):
    prompt = training_prompt(workflow, PLAN, WITHOUT)
    trainer = of_class(prompt, "TICFTTrain")
    assert (trainer["steps"], trainer["seed"], trainer["buffer_latents"]) == (5, 4, 0)
    assert trainer["rank"] == 8
    assert of_class(prompt, "FewShotToyClips")["kind"] == "image to video"
    assert classes(prompt) == ["FewShotEncodeDataset", "FewShotToyClips", "FewShotToyVideoModel", "TICFTTrain"]


def test_a_clip_s_prompt_repeats_the_training_of_its_arm_exactly_so_that_the_host_finds_it(workflow):
    training, clip = training_prompt(workflow, PLAN, WITH), clip_prompt(workflow, PLAN, WITH, 1)
    assert {node_id: clip[node_id] for node_id in training} == training


def test_a_clip_s_prompt_samples_one_held_out_condition_and_saves_one_video(workflow):
    prompt = clip_prompt(workflow, PLAN, WITH, 1)
    assert of_class(prompt, "FewShotDatasetItem")["index"] == 1
    assert prompt["held_out_clips"]["inputs"]["split"] == "held out"
    assert of_class(prompt, "TICFTContext")["condition"] == ["held_out_item", 1]
    assert of_class(prompt, "TICFTPrompt")["target_text"] == ["held_out_item", 3]
    assert of_class(prompt, "SaveVideo")["filename_prefix"] == "lora_with_buffers/clip_01"
    assert "LossGraphNode" not in classes(prompt)


def test_all_arms_sample_with_the_same_seed_steps_and_guidance(workflow):
    prompts = [clip_prompt(workflow, PLAN, arm, 1) for arm in ARMS]
    samplers = [{**of_class(prompt, "KSampler"), "model": None} for prompt in prompts]
    assert all(sampler == samplers[0] for sampler in samplers)
    assert (samplers[0]["steps"], samplers[0]["cfg"]) == (6, 1.5)
    assert [of_class(prompt, "TICFTContext")["buffer_latents"] for prompt in prompts] == [3, 0, 3, 0]


def test_a_zero_shot_prompt_has_the_base_model_and_no_trainer(workflow):
    prompt = clip_prompt(workflow, PLAN, ZERO_SHOT, 0)
    assert not {"TICFTTrain", "LoraModelLoader"} & set(classes(prompt))
    assert of_class(prompt, "TICFTContext")["model"] == ["1", 0]
    assert "settings" not in of_class(prompt, "TICFTContext") | of_class(prompt, "TICFTPrompt")


def test_a_true_clip_is_saved_like_the_others_without_any_model(workflow):
    prompt = truth_prompt(workflow, PLAN, 0)
    assert classes(prompt) == ["CreateVideo", "FewShotDatasetItem", "FewShotToyClips", "SaveVideo"]


def test_the_shipped_workflow_is_left_alone_by_all_of_this(workflow):
    before = json.dumps(workflow)
    for arm in ARMS:
        clip_prompt(workflow, PLAN, arm, 0)
    truth_prompt(workflow, PLAN, 0)
    assert json.dumps(workflow) == before


def test_a_workflow_without_the_needed_node_is_refused_by_name(workflow):
    with pytest.raises(ValueError, match="exactly one KSampler node"):
        clip_prompt(only(workflow, "4") | {"10": workflow["10"], "8": workflow["8"], "6": workflow["6"]}, PLAN, WITH, 0)


def test_quick_overrides_the_sizes_and_bad_numbers_are_refused(capsys):
    options = demo.parse_arguments(["--quick", "--cfg", "1"])
    assert (options.pairs, options.steps, options.test, options.sampling_steps, options.cfg) == (2, 3, 1, 3, 1.0)
    for wrong in (["--pairs", "0"], ["--seed", "-1"], ["--test", "100"]):
        with pytest.raises(SystemExit):
            demo.parse_arguments(wrong)
    assert "0 is below 1" in capsys.readouterr().err


def test_every_run_gets_a_folder_of_its_own_and_nothing_is_deleted(tmp_path):
    assert demo.new_folder(tmp_path / "a" / "run") == tmp_path / "a" / "run"
    assert demo.new_folder(tmp_path / "a" / "run").name == "run"  # still empty
    (tmp_path / "a" / "run" / "kept.txt").touch()
    assert demo.new_folder(tmp_path / "a" / "run").name == "run-2"
    assert (tmp_path / "a" / "run" / "kept.txt").exists()


class FakeServer:
    """Stands in for the host: saves an empty file for every prompt, unless a test ends it otherwise."""

    def __init__(self, folder: Path, ending: BaseException | None = None, clips: int = 0) -> None:
        self.output, self.ending, self.clips = folder, ending, clips
        self.url, self.base = "http://127.0.0.1:9", folder  # nobody listens there
        self.posts: list[str] = []
        self.prompts: dict[str, dict] = {}
        self.closed = False

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_error) -> None:
        self.closed = True

    def object_info(self) -> dict:
        return dict.fromkeys(demo.NEEDED)

    def queue(self, prompt: dict) -> str:
        self.prompts[str(len(self.prompts))] = prompt
        return str(len(self.prompts) - 1)

    def wait(self, prompt_id: str, **_options) -> dict:
        done = len(list(self.output.rglob("*.mp4")))
        if self.ending and done >= self.clips:
            raise self.ending
        times = {"execution_start": 1000, "execution_success": 3500}
        messages = [[kind, {"timestamp": time}] for kind, time in times.items()]
        return {**self.history(prompt_id), "status": {"messages": messages}}

    def history(self, prompt_id: str) -> dict:
        saved = [entry for entry in self.prompts[prompt_id].values() if entry["class_type"] == "SaveVideo"]
        if not saved:
            return {"outputs": {}}
        folder, name = saved[0]["inputs"]["filename_prefix"].split("/")
        (self.output / folder).mkdir(exist_ok=True)
        (self.output / folder / f"{name}_00001_.mp4").touch()
        return {"outputs": {"12": {"images": [{"filename": f"{name}_00001_.mp4", "subfolder": folder}]}}}

    def post(self, path: str, _body: object) -> None:
        self.posts.append(path)

    def interrupt(self) -> None:
        self.posts.append("/interrupt")

    def get(self, _path: str) -> dict:
        return {"queue_running": []}


@pytest.fixture
def fake(tmp_path, monkeypatch, workflow):
    """A function that puts a fake server in the demo's way and returns it."""

    def make(ending: BaseException | None = None, clips: int = 0) -> FakeServer:
        server = FakeServer(tmp_path / "out", ending, clips)
        monkeypatch.setattr(demo, "find_or_build", lambda _version: Host(tmp_path, Path("python"), "0.30.0"))
        monkeypatch.setattr(demo, "Server", lambda *_args, **_options: server)
        monkeypatch.setattr(demo, "to_prompt", lambda _ui, _schemas: workflow)
        monkeypatch.setattr(demo, "report", lambda _host, _folder: None)
        return server

    return make


def test_a_run_leaves_all_clips_under_plain_names_and_says_how_to_go_on(tmp_path, fake, capsys):
    server = fake()
    assert demo.main(["--out", str(tmp_path / "out"), "--test", "2"]) == 0
    assert finished(tmp_path / "out") == {GROUND_TRUTH: 2} | {arm.name: 2 for arm in ARMS}
    assert not list((tmp_path / "out").rglob("*_00001_.mp4"))
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert record["arms"]["lora_with_buffers"]["seconds"] == {"training": 2.5, "clips": [2.5, 2.5]}
    assert "training" not in record["arms"]["zero_shot_with_buffers"]["seconds"]
    assert server.closed
    assert "scripts/host.py --serve" in capsys.readouterr().out


def test_an_interrupted_run_stops_the_host_and_keeps_what_was_finished(tmp_path, fake, capsys):
    server = fake(KeyboardInterrupt(), clips=3)
    assert demo.main(["--out", str(tmp_path / "out"), "--test", "2"]) == 130
    assert server.closed
    assert server.posts == ["/queue", "/interrupt"]
    assert finished(tmp_path / "out") == {GROUND_TRUTH: 2, "lora_with_buffers": 1}
    assert "1 of lora_with_buffers" in capsys.readouterr().err


def test_a_failed_prompt_stops_the_host_and_gives_one_sentence(tmp_path, fake, capsys):
    server = fake(HostError('TICFTTrain (node 4) failed: no memory\n  File "x.py", line 1'))
    assert demo.main(["--out", str(tmp_path / "out")]) == 1
    assert server.closed
    assert capsys.readouterr().err.splitlines()[-1] == "[demo] error: TICFTTrain (node 4) failed: no memory"


def test_a_host_that_is_gone_already_does_not_hinder_the_end(tmp_path, fake, workflow):
    server = fake()

    def gone(*_args):
        raise OSError("connection refused")

    server.post = gone
    Run(server, workflow, PLAN, tmp_path, {}).stop()  # type: ignore[arg-type]


def save_clip(path: Path, frames: np.ndarray) -> None:
    """Write frames as the host does."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=12)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in (frames * 255).clip(0, 255).astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def judged_run(tmp_path) -> Path:
    """A run whose first arm made the true clips and whose second one stands still."""
    clips, _ = demo_report.load_toy()
    for index, sample in enumerate(clips.make_samples("image to video", PLAN.test, PLAN.seed, "held out", 1.25)):
        frames = sample.target.frames().numpy()
        save_clip(tmp_path / GROUND_TRUTH / f"clip_{index:02d}.mp4", frames)
        save_clip(tmp_path / WITH.name / f"clip_{index:02d}.mp4", frames)
        save_clip(tmp_path / WITHOUT.name / f"clip_{index:02d}.mp4", np.repeat(frames[18:19], len(frames), 0))
    arms = {WITH.name: {"seconds": {"training": 60.0, "clips": [2.0, 4.0]}}}
    (tmp_path / RECORD).write_text(json.dumps({**PLAN.as_dict(), "comfyui": "0.30.0", "arms": arms}))
    return tmp_path


def test_the_table_tells_true_clips_from_frozen_ones_after_compression(judged_run, capsys):
    assert demo_report.main([str(judged_run)]) == 0
    lines = [line.split("|")[1:-1] for line in (judged_run / "table.md").read_text().splitlines() if "|" in line]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert rows["ground truth"][:6] == ["2", "1.00", "1.00", "1.00", "1.00", "1.00"]
    assert rows["LoRA, with buffers"][1:6] == ["1.00"] * 5
    assert rows["LoRA, with buffers"][-2:] == ["60", "3.0"]
    assert rows["LoRA, without buffers"][1:6] == ["1.00", "1.00", "1.00", "0.00", "0.00"]
    assert "zero-shot, with buffers" not in rows
    assert "chance" in rows
    assert "| ground truth" in capsys.readouterr().out


def test_the_results_name_every_clip_s_verdict_and_the_run_s_settings(judged_run):
    demo_report.write_report(judged_run)
    results = json.loads((judged_run / "results.json").read_text())
    assert (results["steps"], results["seed"]) == (5, 4)
    assert results["arms"][WITHOUT.name]["clips"]["clip_01"]["motion"] == 0.0
    assert results["arms"][WITH.name]["seconds"]["training"] == 60.0


def test_the_contact_sheet_holds_every_clip_s_first_and_last_frame(judged_run):
    from PIL import Image

    demo_report.write_report(judged_run)
    sheet = np.asarray(Image.open(judged_run / "contact_sheet.png"))
    clip = demo_report.read_clip(judged_run / GROUND_TRUTH / "clip_00.mp4")
    top = GAP + HEAD
    for place, number in ((1, 0), (FRAMES, 35)):
        left = LABEL + place * (128 + GAP) + GAP
        shown = sheet[top + 64 : top + 128 : 2, left : left + 128 : 2] / 255.0  # below the frame's number
        assert np.abs(shown - clip[number, 32:]).max() < 0.01
    assert sheet.shape[0] == 6 * (128 + GAP) + 2 * HEAD + GAP


def test_a_folder_without_clips_and_a_cut_clip_get_a_sentence(tmp_path, judged_run, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / RECORD).write_text((judged_run / RECORD).read_text())
    assert demo_report.main([str(empty)]) == 1
    save_clip(judged_run / WITH.name / "clip_00.mp4", np.zeros((5, 64, 64, 3), dtype=np.float32))
    assert demo_report.main([str(judged_run)]) == 1
    errors = capsys.readouterr().err
    assert "holds no finished clip" in errors
    assert "clip 0 has 5 frames" in errors


def test_a_sheet_shows_evenly_spread_frames_and_refuses_clips_of_two_sizes():
    assert picks(36) == [0, 5, 10, 15, 20, 25, 30, 35]
    assert picks(3) == [0, 1, 2]
    small, large = np.zeros((2, 8, 8, 3)), np.zeros((2, 9, 9, 3))
    with pytest.raises(ValueError, match="clips of one size"):
        draw_sheet([Row("a", "", small), Row("b", "", large)])
