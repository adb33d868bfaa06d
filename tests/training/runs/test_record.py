"""The run record of a LoRA: complete, without private paths, and with the graph that trains it again."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from pack.methods.tic_ft import Layout
from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel
from pack.training.lora.metadata import PACK_VERSION, PREFIX, file_metadata
from pack.training.runs.graph import training_graph
from pack.training.runs.record import citation, run_record
from pack.training.tic_ft.layout import ticft_settings

CONFIG = TrainConfig(rank=2, alpha=3.0, learning_rate=2e-4, steps=400, seed=7)
LORA = {"diffusion_model.a.lora_up.weight": torch.ones(4, 2), "diffusion_model.a.lora_down.weight": torch.ones(2, 4)}
PROMPT: dict[str, dict[str, Any]] = {
    "1": {"class_type": "FewShotToyVideoModel", "inputs": {}, "_meta": {"title": "jane's"}},
    "2": {"class_type": "FewShotDatasetFolder", "inputs": {"folder": "/home/jane/clips"}, "is_changed": "/home/jane/x"},
    "3": {"class_type": "FewShotEncodeDataset", "inputs": {"dataset": ["2", 0], "vae": ["1", 2], "clip": ["1", 1]}},
    "4": {"class_type": "TICFTTrain", "inputs": {"model": ["1", 0], "encoded": ["3", 0], "task": "image to video",
          "rank": 2, "learning_rate": 2e-4, "steps": 400, "batch_size": 1, "seed": 7}},
    "5": {"class_type": "TICFTTrain", "inputs": {"model": ["1", 0], "encoded": ["3", 0], "task": "image to video",
          "rank": 2, "learning_rate": 2e-4, "steps": 400, "batch_size": 1, "seed": 8}},
    "6": {"class_type": "PreviewAny", "inputs": {"source": ["4", 3]}},
}  # fmt: skip


def record(**more: str) -> dict[str, str]:
    settings = ticft_settings("image to video", Layout.linear(1, 3, 9))
    values = {key: json.dumps(value) for key, value in settings.items()}
    values |= {"base_family": "Wan 2.1", "base_model": "WAN21 with 1.00 M parameters", "clips": "12", "steps": "400"}
    values |= {"width": "832", "height": "480", "fps": "16.0", "finished": "true", "run_key": "abc"}
    return {**values, "config": json.dumps(CONFIG.to_dict()), **more}


def lora(prompt: dict[str, Any] | None = None, **more: str) -> LoraModel:
    workflow = None if prompt is None else {"prompt": json.dumps(prompt)}
    return LoraModel(LORA, file_metadata(record(**more), CONFIG, workflow=workflow))


def test_the_line_to_cite_says_how_the_lora_was_made():
    line = citation(record() | {"pack_version": PACK_VERSION}, "loras/my_cat_00001_.safetensors")
    assert line == (
        "my_cat_00001_: TIC-FT LoRA (arXiv 2506.00996), rank 2, alpha 3, on Wan 2.1 (WAN21 with 1.00 M parameters), "
        "image to video in 1+3+9 latents, 12 clips, 400 steps, batch size 1, learning rate 0.0002 (adamw, constant), "
        f"seed 7, FewShot Video {PACK_VERSION}."
    )
    stopped = citation(record(finished="false", steps="30", expert="high noise", pack_version="1"), "a.safetensors")
    assert "30 of 400 steps" in stopped
    short = citation(record(clips="1", steps="1", pack_version="1"), "a.safetensors")
    assert ", 1 clip, 1 step, batch size 1, " in short
    assert "M parameters, high noise expert)" in stopped
    assert "\n" not in citation(record(base_model="two\nlines", pack_version="1"), "a")


@pytest.mark.parametrize(
    ("method", "told"),
    [("aicl", "AICL adapter (arXiv 2403.11535)"), ("tune_a_video", "Tune-A-Video weights (arXiv 2212.11565)")],
)
def test_what_is_no_lora_has_no_rank(method, told):
    line = citation(record(method=f'"{method}"', pack_version="1"), "sub/mine.safetensors")
    assert line.startswith(f"mine: {told}, on Wan 2.1 (WAN21 with")


def test_the_record_holds_all_that_the_file_says():
    found = run_record(lora(), "sub/my_cat.safetensors")
    assert found["lora"] == "my_cat.safetensors"
    assert found["made"]["config"] == CONFIG.to_dict()
    assert found["made"]["buffer_levels"] == [0.25, 0.5, 0.75]
    assert found["made"]["pack_version"] == PACK_VERSION
    assert found["citation"].startswith("my_cat: TIC-FT LoRA")
    assert {key: found["tensors"][key] for key in ("layers", "ranks", "types")} == {
        "layers": 1, "ranks": {"2": 1}, "types": ["float32"],
    }  # fmt: skip
    assert json.loads(json.dumps(found)) == found


def test_the_digest_is_of_the_tensors_alone():
    first, other = run_record(lora(), "a"), run_record(lora(PROMPT), "b")
    assert first["tensors"] == other["tensors"]
    changed = lora()
    changed["diffusion_model.a.lora_up.weight"] = torch.full((4, 2), 2.0)
    assert run_record(changed, "a")["tensors"]["sha256"] != first["tensors"]["sha256"]


def test_the_graph_is_the_train_node_of_the_workflow_and_what_leads_to_it():
    found = run_record(lora(PROMPT), "a")
    assert list(found["graph"]) == ["1", "2", "3", "4"]
    assert found["graph"]["4"]["inputs"] == PROMPT["4"]["inputs"]
    assert found["graph"]["2"] == {"class_type": "FewShotDatasetFolder", "inputs": {"folder": "clips"}}
    assert found["fill_in"] == ["2.folder"]  # it was a path


@pytest.mark.parametrize("prompt", [None, {}, {"4": {**PROMPT["4"], "inputs": {**PROMPT["4"]["inputs"], "seed": 9}}}])
def test_without_that_workflow_the_graph_comes_from_the_settings(prompt):
    found = run_record(lora(prompt), "a")
    graph = {node["class_type"]: node["inputs"] for node in found["graph"].values()}
    trainer = graph["TICFTTrain"]
    assert {name: trainer[name] for name in ("task", "rank", "steps", "seed", "learning_rate", "batch_size")} == {
        "task": "image to video", "rank": 2, "steps": 400, "seed": 7, "learning_rate": 2e-4, "batch_size": 1,
    }  # fmt: skip
    assert (trainer["condition_latents"], trainer["buffer_latents"]) == (1, 3)
    assert trainer["buffer_levels"] == "0.25, 0.5, 0.75"
    assert graph["FewShotTrainSettings"]["alpha"] == 3.0
    settings = {**graph["FewShotTrainSettings"], **graph["FewShotRunSettings"], **trainer}
    told = {key: value for key, value in CONFIG.to_dict().items() if key not in ("betas", "kept_blocks")}
    assert "kept_blocks" not in settings  # no node has an input for what a plan finds
    assert {key: settings[key] for key in told} == told
    assert graph["FewShotDatasetFolder"] == {"folder": "", "width": 832, "height": 480, "fps": 16.0, "frames": 36}
    assert graph["CLIPLoader"]["type"] == "wan"
    assert found["fill_in"] == ["1.unet_name", "2.clip_name", "3.vae_name", "4.folder"]
    empty = [f"{key}.{name}" for key, node in found["graph"].items() for name, v in node["inputs"].items() if v == ""]
    assert [entry for entry in empty if not entry.startswith(("6.", "8."))] == found["fill_in"]


def test_of_a_set_in_buckets_the_maker_must_say_what_they_were_made_near():
    """The record has the size of the fullest bucket, which is not the one that was asked for."""
    sizes = [{"width": 480, "height": 832, "target_latents": 9, "clips": 7}, {"width": 832, "height": 480, "clips": 5}]
    by_aspect = [{**sizes[0]}, {**sizes[1], "target_latents": 9}]
    graph, fill_in = training_graph(record(width="480", height="832", buckets=json.dumps(by_aspect)), {})
    assert graph["4"]["inputs"] == {
        "folder": "", "width": 480, "height": 832, "fps": 16.0, "buckets": "by aspect", "multiple": 16, "frames": 36,
    }  # fmt: skip
    assert fill_in[3:] == ["4.folder", "4.width", "4.height", "4.multiple"]
    by_length = [{**sizes[0]}, {**sizes[1], "target_latents": 6}]
    graph, fill_in = training_graph(record(buckets=json.dumps(by_length)), {})
    assert graph["4"]["inputs"]["buckets"] == "by aspect and length"
    assert fill_in[3:] == ["4.folder", "4.width", "4.height", "4.multiple", "4.frames"]


def test_a_prompt_that_is_damaged_is_not_used():
    for text in ("{", "[1]", '{"1": 3}', '{"1": {"class_type": "TICFTTrain"}}'):
        metadata = lora().metadata | {"prompt": text}
        assert run_record(LoraModel(LORA, metadata), "a")["fill_in"]


def test_wired_settings_do_not_hide_the_train_node():
    wired = {**PROMPT["4"], "inputs": {**PROMPT["4"]["inputs"], "steps": ["7", 0]}}
    graph, fill_in = training_graph(record(), {"prompt": json.dumps({**PROMPT, "4": wired})})
    assert graph["4"] == wired
    assert fill_in == []


def test_targets_without_a_condition_are_4n_plus_1_frames_long():
    graph, _ = training_graph(record(condition_latents="0", buffer_latents="0", buffer_levels="[]"), {})
    assert graph["4"]["inputs"]["frames"] == 33
    assert graph["8"]["inputs"]["buffer_levels"] == ""


@pytest.mark.parametrize("path", ["/home/jane/secret/a.mp4", r"C:\Users\jane\secret\a.mp4", "~/jane/secret/a.mp4"])
def test_no_planted_path_is_left_in_the_record(path):
    planted = json.loads(json.dumps(PROMPT))
    planted["2"]["inputs"] = {"folder": path, "note": f"see {path} and more", "list": [path]}
    spoilt = lora(planted, base_model=path, note=f"from {path}", data=json.dumps({"path": path, path: 1}))
    spoilt.metadata[f"{PREFIX}converted_from"] = f"{path}, in the names of diffusers"
    text = json.dumps(run_record(spoilt, path))
    assert "jane" not in text
    assert "secret" not in text
    assert "a.mp4" in text


@pytest.mark.parametrize("metadata", [{}, {"ss_network_dim": "4"}, {f"{PREFIX}converted_from": "a"}])
def test_a_lora_of_another_trainer_is_refused(metadata):
    with pytest.raises(ValueError, match=r"a\.safetensors does not say how it was trained; choose a LoRA that a Train"):
        run_record(LoraModel(LORA, metadata), "a.safetensors")


@pytest.mark.parametrize("change", [
    {"config": "{}"}, {"config": "5"}, {"method": '"none"'}, {"base_family": "Other"}, {"target_latents": '"x"'},
])  # fmt: skip
def test_a_damaged_record_is_refused(change):
    with pytest.raises(ValueError, match=r"the record in a\.safetensors is damaged \(.*\); train or copy it again"):
        run_record(lora(**change), "a.safetensors")


@pytest.mark.parametrize("expert", ["high noise", "low noise"])
def test_of_two_train_nodes_that_look_alike_the_one_of_the_expert_is_taken(expert):
    inputs = PROMPT["4"]["inputs"]
    two: dict[str, Any] = {}
    for first, name in ((10, "high noise"), (20, "low noise")):
        two[str(first)] = {"class_type": "FewShotRunSettings", "inputs": {"expert": name}}
        two[str(first + 1)] = {"class_type": "TICFTTrain", "inputs": {**inputs, "settings": [str(first), 0]}}
    config = json.dumps({**json.loads(record()["config"]), "expert": expert})
    others = {key: node for key, node in PROMPT.items() if key not in ("4", "6")}
    graph, _ = training_graph(record(config=config), {"prompt": json.dumps({**others, **two})})
    kept = [node["inputs"]["expert"] for node in graph.values() if node["class_type"] == "FewShotRunSettings"]
    assert kept == [expert]
    assert set(graph) == {"1", "2", "3", *(("10", "11") if expert == "high noise" else ("20", "21"))}


def test_a_graph_of_buckets_asks_for_the_longest():
    buckets = json.dumps([{"target_latents": 4}, {"target_latents": 9}])
    graph, _ = training_graph(record(buckets=buckets, target_latents="4"), {})
    (folder,) = (node["inputs"] for node in graph.values() if node["class_type"] == "FewShotDatasetFolder")
    assert (folder["frames"], folder["buckets"]) == (36, "by aspect and length")


@pytest.mark.parametrize(
    ("family", "loader", "frames"),
    [
        ("LTXV", "CLIPLoader", 2), ("LTX-2", "LTXAVTextEncoderLoader", 2), ("LTX-2.3", "LTXAVTextEncoderLoader", 2),
        ("HunyuanVideo", "DualCLIPLoader", 1), ("HunyuanVideo 1.5", "DualCLIPLoader", 1),
    ],
)  # fmt: skip
def test_a_family_has_its_own_loaders_and_frames_a_latent(family, loader, frames):
    graph, missing = training_graph(record(base_family=family), {})
    usual = training_graph(record(), {})[0]["4"]["inputs"]["frames"]
    assert graph["4"]["inputs"]["frames"] == frames * usual
    assert loader in {node["class_type"] for node in graph.values()}
    links = [value for node in graph.values() for value in node["inputs"].values() if isinstance(value, list)]
    assert all(key in graph for key, _ in links)
    assert [name for name in missing if name.partition(".")[2] not in graph[name[0]]["inputs"]] == []


def test_an_input_that_loses_its_path_is_to_be_filled_in():
    prompt = {**PROMPT, "1": {"class_type": "LoadVideo", "inputs": {"file": "/data/alice/clips/a.mp4"}}}
    prompt["4"] = {**PROMPT["4"], "inputs": {**PROMPT["4"]["inputs"], "model": ["1", 0]}}
    found = run_record(lora(prompt), "a")
    assert found["graph"]["1"]["inputs"]["file"] == "a.mp4"
    assert found["fill_in"] == ["1.file", "2.folder"]
