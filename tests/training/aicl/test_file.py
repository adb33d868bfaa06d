"""AICL adapter files: whole, readable, and clear about what they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from method_files import save_adapter

from pack.methods.action_prism import PrismSizes
from pack.methods.aicl import AdapterSizes, new_adapter
from pack.training.aicl.file import AiclAdapter, load_adapter, tensors_of
from pack.training.lora.file import LoraModel, read_metadata, save_lora
from pack.training.lora.metadata import to_metadata

SIZES = AdapterSizes(PrismSizes(3, 5, 8, 2, 1, token=6), {"blocks.0": 8, "blocks.1": 12}, inner=4)
RECORD = {"base_model": "Wan 2.1 of the tests", "training_data": "3 clips of 2 actions"}


def some_adapter() -> AiclAdapter:
    return AiclAdapter(SIZES, tensors_of(*new_adapter(SIZES, 1)), "Wan 2.1", RECORD)


def test_an_adapter_comes_back_from_its_file(tmp_path):
    adapter = some_adapter()
    loaded = load_adapter(save_adapter(adapter, tmp_path / "deep" / "a.safetensors"))
    assert (loaded.sizes, loaded.base_family) == (SIZES, "Wan 2.1")
    assert RECORD.items() <= loaded.record.items()
    assert loaded.tensors.keys() == adapter.tensors.keys()
    assert all(torch.equal(value, adapter.tensors[name]) for name, value in loaded.tensors.items())


def test_the_metadata_tell_what_it_is(tmp_path):
    metadata = read_metadata(save_adapter(some_adapter(), tmp_path / "a.safetensors"))
    assert metadata["fewshot_video.method"] == '"aicl"'
    assert metadata["fewshot_video.base_family"] == "Wan 2.1"
    assert metadata["fewshot_video.training_data"] == "3 clips of 2 actions"
    assert '"layers": 1' in metadata["fewshot_video.sizes"]


def test_tensors_of_modules_load_into_new_ones():
    prism, integrations = new_adapter(SIZES, 1)
    adapter = some_adapter()
    other_prism, other_integrations = new_adapter(SIZES, 2)
    other_prism.load_state_dict(adapter.part("prism."))
    other_integrations.load_state_dict(adapter.part("integrations."))
    for ours, theirs in ((prism, other_prism), (integrations, other_integrations)):
        state = theirs.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("prism.embed.weight"), r"prism\.embed\.weight is missing, its sizes need \(8, 12\)"),
        (lambda t: t.update({"prism.more": torch.zeros(2)}), r"prism\.more is \(2,\), its sizes need none"),
        (lambda t: t.update({"prism.mean": torch.zeros(4)}), r"prism\.mean is \(4,\), its sizes need \(3,\)"),
        (
            lambda t: t.update({"prism.mean": t["prism.mean"].int()}),
            r"prism\.mean holds torch\.int32, .*; copy",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_sizes_are_refused(change, message):
    tensors = dict(some_adapter().tensors)
    change(tensors)
    with pytest.raises(ValueError, match=message):
        replace(some_adapter(), tensors=tensors)


def test_an_adapter_must_name_its_base():
    with pytest.raises(ValueError, match="does not say which base model"):
        replace(some_adapter(), base_family="")


def test_other_files_are_refused_by_name(tmp_path):
    plain = save_lora(LoraModel({"a": torch.zeros(1)}), tmp_path / "plain.safetensors")
    with pytest.raises(ValueError, match=r"plain\.safetensors is not a file of FewShot Video"):
        load_adapter(plain)
    record = to_metadata({"method": '"tic_ft"'})
    lora = save_lora(LoraModel({"a": torch.zeros(1)}, record), tmp_path / "lora.safetensors")
    with pytest.raises(ValueError, match=r"lora\.safetensors is a file of the method tic_ft"):
        load_adapter(lora)
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_adapter(tmp_path / "text.safetensors")


def test_a_file_with_damaged_sizes_is_refused(tmp_path):
    adapter = some_adapter()
    record = to_metadata({"method": '"aicl"', "base_family": "Wan 2.1", "sizes": "{"})
    path = save_lora(LoraModel(adapter.tensors, record), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="sizes cannot be read"):
        load_adapter(path)
