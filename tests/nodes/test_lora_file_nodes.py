"""Convert LoRA and LoRA Run Record in the host, on LoRAs that were trained there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import comfy.cli_args
import folder_paths
import lora_files as files
import pytest
import tiny_wan
import torch
from tic_ft_runs import train

from pack import nodes as pack_nodes
from pack.methods.tic_ft import Layout
from pack.nodes.host.model import loras
from pack.nodes.host.model.families import FAMILIES
from pack.nodes.host.services.workflow_metadata import workflow_id, workflow_metadata
from pack.nodes.lora_files import FewShotConvertLoRA, FewShotRunRecord
from pack.training.core.config import TrainConfig
from pack.training.lora.convert import ORIGIN
from pack.training.lora.file import LoraModel, load_lora, same_lora, save_lora
from pack.training.lora.metadata import ARCHITECTURES, file_metadata, from_metadata
from pack.training.runs.graph import TEXT_ENCODERS
from pack.training.tic_ft.layout import ticft_settings

TOY_GRAPH: dict[str, Any] = {
    "1": {"class_type": "FewShotToyVideoModel", "inputs": {}},
    "2": {"class_type": "FewShotToyClips", "inputs": {"kind": "image to video", "count": 4, "seed": 0}},
    "3": {"class_type": "FewShotEncodeDataset", "inputs": {"dataset": ["2", 0], "vae": ["1", 2], "clip": ["1", 1]}},
    "5": {"class_type": "TICFTTrain", "inputs": {"model": ["1", 0], "encoded": ["3", 0],
          "task": "image to video", "rank": 2, "learning_rate": 1e-3, "steps": 3, "batch_size": 1, "seed": 5}},
}  # fmt: skip
CONFIG = TrainConfig(rank=2, learning_rate=1e-3, steps=3, seed=5)


@pytest.fixture
def trained(tmp_path) -> str:
    """A LoRA of the pack's trainer, as the host lists it."""
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors"))
    path = Path(train(model, f"travels {tmp_path.name}", rank=2)[3])
    loras.register_lora_output()
    return path.relative_to(Path(folder_paths.get_output_directory()) / "loras").as_posix()


def with_record(name: str, prompt: dict[str, Any] | None) -> str:
    """A file whose metadata is all that a toy run writes."""
    settings = {
        key: json.dumps(value) for key, value in ticft_settings("image to video", Layout.linear(1, 3, 9)).items()
    }
    record = {
        **settings, "base_family": "Wan 2.1", "base_model": "WAN21 with 0.08 M parameters", "clips": "4", "steps": "3",
        "width": "64", "height": "64", "fps": "12.0", "finished": "true", "config": json.dumps(CONFIG.to_dict()),
    }  # fmt: skip
    workflow = {} if prompt is None else {"prompt": json.dumps(prompt)}
    pair = {f"diffusion_model.blocks.0.self_attn.q.lora_{end}.weight": torch.ones(2, 2) for end in ("up", "down")}
    path = Path(folder_paths.get_folder_paths("loras")[0]) / name
    path.unlink(missing_ok=True)
    save_lora(LoraModel(pair, file_metadata(record, CONFIG, title=path.stem, workflow=workflow)), path)
    return name


def test_a_trained_lora_goes_to_every_tool_and_comes_back_bit_for_bit(trained):
    first = loras.read_lora(trained)
    name = trained
    for target in ("diffusers", "kohya", "diffusers", "ComfyUI"):
        path = Path(FewShotConvertLoRA.execute(name, target).result[0])
        assert path.is_file()
        assert path.parent.name == Path(trained).parent.name
        name = path.relative_to(Path(folder_paths.get_output_directory()) / "loras").as_posix()
        assert name in loras.lora_names()
    last = loras.read_lora(name)
    assert same_lora(LoraModel(first), LoraModel(last))
    assert {key: last.metadata[key] for key in first.metadata} == first.metadata
    lines = last.metadata[ORIGIN].splitlines()
    assert len(lines) == 4
    assert lines[0] == f"{Path(trained).name}, in the names of ComfyUI"
    assert all("/" not in line for line in lines)


def test_nothing_is_overwritten(trained):
    before = [(path, path.read_bytes()) for path in _files()]
    paths = [FewShotConvertLoRA.execute(trained, "kohya").result[0] for _ in range(2)]
    assert len(set(paths)) == 2
    assert same_lora(*(load_lora(Path(path)) for path in paths))
    assert all(path.read_bytes() == data for path, data in before)


def test_what_cannot_be_converted_leaves_no_file():
    tensors = files.file_tensors(files.forged("Wan 2.1")) | {"transformer.blocks.0.x.lora_A.weight": torch.ones(2, 2)}
    name = files.save_lora_file(tensors, "unknown_layer.safetensors")
    before = _files()
    with pytest.raises(ValueError, match=r"^unknown_layer\.safetensors cannot be converted: Wan has no .*\.0\.x"):
        FewShotConvertLoRA.execute(name, "ComfyUI")
    assert _files() == before


def test_the_family_can_be_named_where_the_names_do_not_tell():
    layers = {f"transformer_blocks.0.attn1.to_{name}": torch.Size([4, 4]) for name in "qkv"}
    name = files.save_lora_file(files.file_tensors(files.matrices(layers)), "which.safetensors")
    with pytest.raises(ValueError, match="CogVideoX or LTXV; choose `family`"):
        FewShotConvertLoRA.execute(name, "ComfyUI")
    path = FewShotConvertLoRA.execute(name, "ComfyUI", "CogVideoX").result[0]
    assert "diffusion_model.blocks.0.q.lora_up.weight" in load_lora(Path(path))


def complaints(prompt: dict[str, Any]) -> dict[str, list[str]]:
    """Inputs that the host's own validation refuses, by node, after the pack's nodes are known to it."""
    import execution

    import nodes

    for node in pack_nodes.node_list():
        nodes.NODE_CLASS_MAPPINGS[node.GET_SCHEMA().node_id] = node
    valid, error, _, problems = asyncio.run(execution.validate_prompt("1", prompt, None))
    found = {key: [e["extra_info"].get("input_name") for e in entry["errors"]] for key, entry in problems.items()}
    assert valid or found, error
    return found


def test_the_graph_of_a_record_passes_the_hosts_validation_and_says_what_was_run():
    name = with_record("recorded.safetensors", TOY_GRAPH)
    text, line = FewShotRunRecord.execute(name).result
    found = json.loads(text)
    assert found["graph"] == TOY_GRAPH
    assert found["fill_in"] == []
    assert found["citation"] == line
    assert "\n" not in line
    assert complaints(found["graph"]) == {}
    broken = {**found["graph"], "5": {**TOY_GRAPH["5"], "inputs": {**TOY_GRAPH["5"]["inputs"], "task": "none"}}}
    assert complaints(broken) == {"5": ["task"]}


def test_the_graph_put_together_from_the_settings_lacks_only_what_is_to_be_filled_in():
    text, _ = FewShotRunRecord.execute(with_record("settings_only.safetensors", None)).result
    found = json.loads(text)
    refused = {f"{key}.{name}" for key, names in complaints(found["graph"]).items() for name in names}
    assert refused == set(found["fill_in"])


def test_every_setting_of_a_run_is_an_input_of_the_nodes_that_train_it_again():
    text, _ = FewShotRunRecord.execute(with_record("settings_only.safetensors", None)).result
    schemas = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in pack_nodes.node_list()}
    for node in json.loads(text)["graph"].values():
        if node["class_type"] in schemas:
            known = {field.id for field in schemas[node["class_type"]].inputs}
            assert set(node["inputs"]) <= known


def test_a_converted_lora_keeps_its_record():
    name = with_record("keeps.safetensors", TOY_GRAPH)
    path = Path(FewShotConvertLoRA.execute(name, "diffusers").result[0])
    converted = path.relative_to(Path(folder_paths.get_output_directory()) / "loras").as_posix()
    first, second = (json.loads(FewShotRunRecord.execute(file).result[0]) for file in (name, converted))
    assert second["graph"] == first["graph"]
    assert second["made"]["converted_from"] == "keeps.safetensors, in the names of ComfyUI"


def test_a_lora_without_a_record_is_refused():
    name = files.save_lora_file(files.file_tensors(files.forged("Wan 2.1")), "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors does not say how it was trained"):
        FewShotRunRecord.execute(name)


def test_every_family_that_is_trained_has_an_architecture_and_a_text_encoder():
    for family in FAMILIES:
        if family.attention:
            assert family.name in ARCHITECTURES
            assert family.name.split()[0] in TEXT_ENCODERS


class Hidden:
    """What the executor gives an output node."""

    prompt = TOY_GRAPH
    extra_pnginfo = {"workflow": {"nodes": []}}  # noqa: RUF012  the host's own is such a dict


def test_the_workflow_is_written_as_the_hosts_savers_do_and_not_when_it_is_switched_off(monkeypatch):
    assert workflow_metadata(Hidden) == {"prompt": json.dumps(TOY_GRAPH), "workflow": '{"nodes": []}'}
    assert workflow_metadata(None) == {}
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", True)
    assert workflow_metadata(Hidden) == {}


@pytest.mark.parametrize(
    ("workflow", "found"),
    [
        ('{"id": "e7692259-86e0"}', "e7692259-86e0"),
        ('{"nodes": []}', ""),
        ('{"id": 7}', ""),
        ('{"id": "a b"}', ""),
        ('{"id": "' + "a" * 65 + '"}', ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_a_workflow_is_known_by_its_id_if_that_is_one(workflow, found):
    assert workflow_id({"workflow": workflow}) == found
    assert workflow_id({}) == ""


def test_a_saved_lora_gets_the_workflow_but_keeps_the_one_it_was_made_with():
    tensors = {"a.lora_up.weight": torch.ones(2, 2)}
    plain = load_lora(loras.save_lora_as(tensors, "with_workflow", {"prompt": "{}"}))
    assert plain.metadata == {"prompt": "{}"}
    trained = LoraModel(tensors, {"prompt": '{"1": 2}', "fewshot_video.method": '"tic_ft"'})
    kept = load_lora(loras.save_lora_as(trained, "with_workflow", {"prompt": "{}", "workflow": "[]"}))
    assert kept.metadata == {**trained.metadata, "workflow": "[]"}
    assert from_metadata(kept.metadata) == {"method": '"tic_ft"'}


def test_the_stamp_of_a_file_changes_with_it_and_holds_no_path():
    name = files.save_lora_file({"a.alpha": torch.ones(1)}, "stamp.safetensors")
    before = loras.lora_stamp(name)
    assert "stamp" not in before
    assert "/" not in before
    files.save_lora_file({"a.alpha": torch.ones(9)}, "stamp.safetensors")
    assert before != loras.lora_stamp(name)
    assert loras.lora_stamp("no such file") == ""


@pytest.mark.parametrize(("node", "required", "optional", "outputs"), [
    (FewShotConvertLoRA, "lora_name format", "family", "STRING"),
    (FewShotRunRecord, "lora_name", "", "STRING STRING"),
])  # fmt: skip
def test_the_nodes_have_the_sockets_that_were_promised(node, required, optional, outputs):
    schema = node.GET_SCHEMA()
    assert [entry.id for entry in schema.inputs if not entry.optional] == required.split()
    assert [entry.id for entry in schema.inputs if entry.optional] == optional.split()
    assert [entry.io_type for entry in schema.outputs] == outputs.split()


def _files() -> list[Path]:
    return sorted((Path(folder_paths.get_output_directory()) / "loras").rglob("*.safetensors"))
