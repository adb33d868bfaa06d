"""What can be said of the workflow files without a host."""

from __future__ import annotations

import copy
import re

import pytest
import workflow_checks as workflows

NODES = workflows.ROOT / "nodes"
PACK_NODES = {
    name for path in NODES.glob("*.py") for name in re.findall(r"node_id=\"(\w+)\"", path.read_text(encoding="utf-8"))
}

every_file = pytest.mark.parametrize("name", workflows.NAMES)


def test_there_is_a_workflow_for_every_task_and_for_every_family():
    tasks = ("image_to_video", "video_to_video", "keyframes", "multiple_images", "action_transfer")
    wanted = {f"tic_ft_{task}_toy" for task in (*tasks, "train", "zero_shot")}
    models = ("wan21_1_3b", "wan22_5b", "wan22_14b", "cogvideox_5b", "ltx2")
    wanted |= {"tune_a_video_toy", "tune_a_video_sd15", "motion_toy", "motion_wan21_1_3b", "motion_cogvideox_5b"}
    wanted |= {"motion_wan22_14b_i2v", "bernini_with_tic_ft", "tic_ft_hunyuan15"}
    wanted |= {"aicl_toy", "aicl_train_toy"}
    wanted |= {"aicl_wan21_1_3b", "aicl_cogvideox_5b", "tic_ft_long_video_wan21_1_3b"}
    wanted |= {f"tic_ft_image_to_video_{model}" for model in models}
    assert wanted | {f"tic_ft_train_{model}" for model in ("wan21_1_3b", "wan22_14b", "cogvideox_5b", "ltx2")} <= set(
        workflows.NAMES
    )


def test_every_node_of_the_pack_is_in_some_workflow():
    used = {node["type"] for name in workflows.NAMES for node in workflows.every_node(workflows.load(name))}
    assert len(PACK_NODES) > 10
    assert used >= PACK_NODES


def test_every_file_has_a_key_and_every_key_a_file():
    assert {path.stem for path in workflows.FOLDER.glob("*.json")} == set(workflows.TITLES.values())
    assert len(set(workflows.TITLES.values())) == len(workflows.TITLES)


@every_file
def test_a_key_suits_file_names_and_says_method_task_and_model(name):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
    assert re.fullmatch(r"((tic_ft|aicl|motion)(_\w+)?|tune_a_video)_(toy|\w*\d\w*)|bernini_with_tic_ft", name)


@every_file
def test_a_title_suits_every_file_system_and_says_method_task_and_model(name):
    title = workflows.TITLES[name]
    assert re.fullmatch(r"[A-Za-z0-9 .,-]+[A-Za-z0-9]", title)
    assert re.fullmatch(r"(Start here - )?(TIC-FT|AICL|Tune-A-Video|One-shot motion) .+ - \S.*", title)
    assert title.endswith("toy model") == name.endswith("_toy")
    assert title.startswith("Start here - ") == (name == "tic_ft_image_to_video_toy")


def test_the_command_opens_the_first_run_by_its_title():
    script = (workflows.ROOT / "js" / "lib" / "first_run.js").read_text(encoding="utf-8")
    assert f"FIRST_RUN = '{workflows.TITLES['tic_ft_image_to_video_toy']}'" in script


@every_file
def test_the_note_leads_with_the_title(name):
    notes = workflows.nodes_of(workflows.load(name), "MarkdownNote")
    (readme,) = (note["widgets_values"][0] for note in notes if note.get("title") == "Read me")
    assert readme.startswith(f"## {workflows.TITLES[name]}\n\n")


@every_file
def test_it_is_of_the_kind_the_front_end_saves(name):
    workflow = workflows.load(name)
    assert workflow["version"] == 0.4
    ids = [node["id"] for node in workflow["nodes"]]
    assert len(set(ids)) == len(ids)
    assert workflow["last_node_id"] == max([*ids, *(node["id"] for node in workflows.every_node(workflow))])
    assert workflow["last_link_id"] == max(link[0] for link in workflow["links"])
    assert {node["mode"] for node in workflow["nodes"]} <= {0, workflows.BYPASSED}
    assert sorted(node["order"] for node in workflow["nodes"]) == list(range(len(ids)))


@every_file
def test_a_bypassed_step_is_bypassed_as_a_whole_and_its_note_says_which_one_it_stands_for(name):
    workflow = workflows.load(name)
    steps = list(zip(workflows.steps_of(workflow), workflow["groups"], strict=True))
    for number, (step, group) in enumerate(steps):
        bypassed = {node["mode"] == workflows.BYPASSED for node in step}
        assert bypassed == {"Or " in group["title"]}
        if bypassed == {True}:
            notes = " ".join(node["widgets_values"][0] for node in step if node["type"] == "MarkdownNote")
            assert f"in place of step {number}," in notes


WITH_OTHERS = [name for name in workflows.NAMES if any("Or " in g["title"] for g in workflows.load(name)["groups"])]


@pytest.mark.parametrize("name", WITH_OTHERS)
def test_either_step_alone_puts_something_on_the_model_and_leaves_no_end_open(name):
    file = workflows.load(name)
    trainers = {"AICLTrain", "FewShotMotionTrain", "TuneAVideoTrain"}
    for workflow, trains in ((file, True), (workflows.with_other_step(file), False)):
        active = [node for node in workflow["nodes"] if not node["mode"]]
        assert bool(trainers & {node["type"] for node in active}) == trains
        assert len([node for node in active if node["type"].endswith("Apply")]) == 1


def test_there_are_workflows_with_another_step():
    assert len(WITH_OTHERS) == 5


@every_file
def test_every_link_joins_two_ends_of_its_type(name):
    workflow = workflows.load(name)
    assert workflows.link_problems(workflow) == []
    assert [problem for block in workflows.blocks_of(workflow) for problem in workflows.block_problems(block)] == []


@pytest.mark.parametrize("end", [1, 2, 3, 4, 5])
def test_a_broken_link_is_noticed(end):
    workflow = copy.deepcopy(workflows.load("tic_ft_zero_shot_toy"))
    workflow["links"][0][end] = "IMAGE" if end == 5 else 99
    assert workflows.link_problems(workflow)


@every_file
def test_it_names_no_place_of_one_machine(name):
    found = [text for text in workflows.texts_of(workflows.load(name)) if workflows.ABSOLUTE.search(text)]
    assert found == []


@every_file
def test_its_model_files_are_documented_and_named_in_its_notes(name):
    workflow = workflows.load(name)
    notes = " ".join(node["widgets_values"][0] for node in workflows.nodes_of(workflow, "MarkdownNote"))
    for node in workflow["nodes"]:
        if node["type"] in workflows.NOTES:
            continue
        for text in workflows.texts_of(node["widgets_values"]):
            if text.endswith((".safetensors", ".pt", ".ckpt", ".gguf")) and text != workflows.SHIPPED:
                assert text in workflows.MODEL_FILES
                assert workflows.MODEL_FILES[text] == "loras" or text in notes


@every_file
def test_a_thumbnail_of_a_sensible_size_lies_beside_it(name):
    data = workflows.path_of(name, ".jpg").read_bytes()
    assert data[:3] == b"\xff\xd8\xff"
    assert len(data) < 200_000


@every_file
def test_nodes_lie_apart_and_inside_the_groups_of_their_step(name):
    workflow = workflows.load(name)
    assert workflows.overlaps(workflow) == []
    titles = [group["title"] for group in workflow["groups"]]
    assert [title.split()[0] for title in titles] == [str(i + 1) for i in range(len(titles))]
    placed = [node["id"] for step in workflows.steps_of(workflow) for node in step]
    assert sorted(placed) == sorted(node["id"] for node in workflow["nodes"] if node.get("title") != "Read me")


@every_file
def test_a_note_says_what_to_load_to_change_and_what_comes_out(name):
    readme = next(n for n in workflows.nodes_of(workflows.load(name), "MarkdownNote") if n.get("title") == "Read me")
    text = readme["widgets_values"][0]
    assert "**Change" in text
    assert "**Out come" in text
    assert "**Load" in text or "Nothing has to be downloaded" in text


@every_file
def test_queueing_again_neither_trains_nor_samples_again(name):
    for node in workflows.every_node(workflows.load(name)):
        if node["type"].endswith("Train") or node["type"] in ("KSampler", "KSamplerAdvanced"):
            assert "fixed" in node["widgets_values"]
            assert not {"randomize", "increment", "decrement"} & {str(v) for v in node["widgets_values"]}


@every_file
def test_a_lora_is_one_that_a_workflow_saves_or_a_note_says_how_to_name(name):
    saving = (
        node for other in workflows.NAMES for node in workflows.nodes_of(workflows.load(other), "FewShotSaveLoRA")
    )
    saved = {node["widgets_values"][0] for node in saving}
    workflow = workflows.load(name)
    notes = " ".join(node["widgets_values"][0] for node in workflows.nodes_of(workflow, "MarkdownNote"))
    for node in workflows.nodes_of(workflow, "TICFTLoadLoRA"):
        stem = node["widgets_values"][0].removesuffix("_00001_.safetensors")
        assert stem in saved or f"*{stem}* " in notes


LONG = [
    name
    for name in workflows.NAMES
    if not workflows.is_toy(file := workflows.load(name))
    and {"TICFTTrain", "AICLTrain"} & {node["type"] for node in file["nodes"]}
]


@pytest.mark.parametrize("name", LONG)
def test_a_long_training_has_a_run_name_and_a_note_says_what_it_stands_for(name):
    workflow = workflows.load(name)
    trainers = [node for node in workflow["nodes"] if node["type"] in ("TICFTTrain", "AICLTrain")]
    notes = [node["widgets_values"][0] for node in workflows.nodes_of(workflow, "MarkdownNote")]
    named = re.findall(r"The \*run_name\* is \*(\w+)\*", " ".join(notes))
    assert len(named) == len(set(named)) == len(trainers)
    for name, trainer in zip(named, trainers, strict=True):
        assert name in trainer["widgets_values"]
    assert sum("**Run** is refused" in note for note in notes) == len(trainers)


def test_each_expert_of_wan_22_14b_is_trained_at_its_own_noise_and_saved_under_the_name_it_is_loaded_by():
    workflow = workflows.load("tic_ft_train_wan22_14b")
    files = {node["widgets_values"][0] for node in workflows.nodes_of(workflow, "FewShotSaveLoRA")}
    loaded = workflows.nodes_of(workflows.load("tic_ft_image_to_video_wan22_14b"), "TICFTLoadLoRA")
    assert {f"{file}_00001_.safetensors" for file in files} == {node["widgets_values"][0] for node in loaded}
    for saving in workflows.nodes_of(workflow, "FewShotSaveLoRA"):
        (trainer,) = (n for n in workflows.upstream(workflow, saving, "lora") if n["type"] == "TICFTTrain")
        network = workflows.upstream(workflow, trainer, "model")[-1]["widgets_values"][0]
        settings = {node["type"]: node["widgets_values"] for node in workflows.upstream(workflow, trainer, "settings")}
        expert = "high noise" if "high" in network else "low noise"
        assert expert in settings["FewShotRunSettings"]
        assert saving["widgets_values"][0].endswith(expert.replace(" ", "_"))


@pytest.mark.parametrize(
    ("title", "expert", "steps"),
    [("High-noise steps", "high_noise", (0, 10)), ("Low-noise steps", "low_noise", (10, 20))],
)
def test_each_expert_of_wan_22_14b_has_its_lora_and_its_part_of_one_schedule(title, expert, steps):
    workflow = workflows.load("tic_ft_image_to_video_wan22_14b")
    (sampler,) = (node for node in workflows.nodes_of(workflow, "KSamplerAdvanced") if node.get("title") == title)
    chain = {node["type"]: node["widgets_values"] for node in workflows.upstream(workflow, sampler, "model")}
    assert list(chain) == ["TICFTContext", "ModelSamplingSD3", "TICFTLoadLoRA", "UNETLoader"]
    assert expert in chain["TICFTLoadLoRA"][0]
    assert expert in chain["UNETLoader"][0]
    noise, _, _, total, cfg, _, _, start, end, leftover = sampler["widgets_values"]
    assert (noise, leftover) == (("enable", "enable") if expert == "high_noise" else ("disable", "disable"))
    assert (total, cfg, (start, end)) == (20, 3.5, steps)


def test_no_two_workflows_have_the_same_picture():
    pictures = [workflows.path_of(name, ".jpg").read_bytes() for name in workflows.NAMES]
    assert len(set(pictures)) == len(pictures)


@every_file
def test_toy_clips_show_objects_as_large_as_the_toy_model_knows_them(name):
    nodes = list(workflows.every_node(workflows.load(name)))
    details = {node["widgets_values"][0] for node in nodes if node["type"] == "FewShotToyVideoModel"}
    if details:
        known = {"coarse": "small", "fine": "large"}
        sizes = {node["widgets_values"][-1] for node in nodes if node["type"] == "FewShotToyClips"}
        assert sizes <= {known[detail] for detail in details}


def test_one_shot_motion_shows_the_model_that_keeps_shapes_and_trains_all_of_attention():
    nodes = {node["type"]: node for node in workflows.load("motion_toy")["nodes"]}
    assert nodes["FewShotToyVideoModel"]["widgets_values"] == ["fine"]
    assert "self-attention, cross-attention" in nodes["FewShotTrainSettings"]["widgets_values"]
