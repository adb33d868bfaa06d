"""Files of Tune-A-Video: whole, readable, small, and clear about what they are."""

from __future__ import annotations

import json

import pytest
import torch
from method_files import save_tuned
from torch import nn

from pack.methods.tune_a_video import POOLED, TemporalLayers
from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel, read_metadata, save_lora
from pack.training.lora.metadata import PACK_VERSION, from_metadata, to_metadata
from pack.training.tune_a_video.file import file_metadata, load_tuned, tuned_from
from pack.training.tune_a_video.layers import TunedLayers, WeightDeltas, new_queries

BASE = "Stable Diffusion 1.x, noise prediction"
LAYERS = {"mid.0.attn1.to_q": nn.Linear(8, 8, bias=False), "mid.0.attn2.to_q": nn.Linear(8, 8, bias=False)}


def layers(rank: int = 0) -> TunedLayers:
    """Layers that add something."""
    made = TunedLayers(TemporalLayers({"mid.0": (8, 2)}, 1), new_queries(LAYERS, rank, 3.0, 0))
    generator = torch.Generator().manual_seed(2)
    for parameter in made.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def file_of(made: TunedLayers, dtype: torch.dtype = torch.float32, **record: object) -> LoraModel:
    about = {"method": "tune_a_video", "group_norms": POOLED, "sparse_causal": False, **record}
    texts = {key: json.dumps(value) for key, value in about.items()}
    return LoraModel(made.tensors(dtype), to_metadata({**texts, "base_family": BASE}))


def test_what_was_tuned_comes_back_from_its_file(tmp_path):
    tuned = tuned_from(file_of(layers()), "a")
    loaded = load_tuned(save_tuned(tuned, tmp_path / "deep" / "a.safetensors", {"steps": "7"}))
    assert (loaded.base, loaded.group_norms, loaded.sparse_causal) == (BASE, POOLED, False)
    for ours, theirs in ((loaded.temporal, tuned.temporal), (loaded.queries, tuned.queries)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    record = from_metadata(read_metadata(tmp_path / "deep" / "a.safetensors"))
    assert (record["method"], record["steps"], record["pack_version"]) == ('"tune_a_video"', "7", PACK_VERSION)


@pytest.mark.parametrize("rank", [0, 2])
def test_the_file_adds_what_the_live_layers_add(rank):
    made = layers(rank)
    tuned = tuned_from(file_of(made), "a")
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(4))
    assert tuned.queries.keys() == LAYERS.keys()
    for name, layer in made.queries.by_name.items():
        torch.testing.assert_close(x @ tuned.queries[name].T, layer(x), rtol=1e-5, atol=1e-5)
    again = TemporalLayers({"mid.0": (8, 2)}).load(tuned.temporal)
    tokens = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(5))
    assert torch.equal(again.by_name["mid.0"](tokens, 3), made.temporal.by_name["mid.0"](tokens, 3))


def test_low_rank_and_half_precision_files_are_smaller_and_load_as_fp32():
    sizes = []
    for made, dtype in ((layers(), torch.float32), (layers(1), torch.float32), (layers(1), torch.bfloat16)):
        file = file_of(made, dtype)
        sizes.append(sum(value.numel() * value.element_size() for value in file.values()))
        tuned = tuned_from(file, "a")
        assert {value.dtype for value in (*tuned.temporal.values(), *tuned.queries.values())} == {torch.float32}
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


def test_names_tell_temporal_layers_from_queries_and_tensors_are_copies():
    made = layers()
    assert made.names == ["temporal.mid.0", *(f"queries.{name}" for name in LAYERS)]
    assert len(made) == 3
    assert len(list(made.parameters())) == 5 + 2
    assert set(made.tensors()) == {
        *(f"temporal.mid.0.{name}" for name in ("to_q", "to_k", "to_v", "to_out", "to_out_bias")),
        *(f"queries.{name}" for name in LAYERS),
    }
    before = made.tensors()
    for parameter in made.parameters():
        parameter.data.zero_()
    assert all(value.any() for value in before.values())


def test_untrained_changes_add_nothing():
    x = torch.ones(1, 8)
    for rank in (0, 2):
        assert not any(layer(x).any() for layer in new_queries(LAYERS, rank, 1.0, 0).by_name.values())
    assert isinstance(new_queries(LAYERS, 0, 1.0, 0), WeightDeltas)


def test_the_metadata_are_the_record_and_the_workflow_and_no_words_for_loras():
    found = file_metadata({"steps": "3"}, TrainConfig(), title="run", date="2026-01-31", workflow={"prompt": "{}"})
    assert from_metadata(found) == {
        "steps": "3", "title": '"run"', "date": '"2026-01-31"', "pack_version": PACK_VERSION,
    }  # fmt: skip
    assert found["prompt"] == "{}"
    assert not any(key.startswith(("modelspec", "ss_")) for key in found)


def test_other_files_are_refused_by_name(tmp_path):
    plain = save_lora(LoraModel({"a": torch.zeros(1)}), tmp_path / "plain.safetensors")
    with pytest.raises(ValueError, match=r"plain\.safetensors is not a file of FewShot Video, a file of Tune-A-Video"):
        load_tuned(plain)
    other = LoraModel({"a": torch.zeros(1)}, to_metadata({"method": '"tic_ft"'}))
    with pytest.raises(ValueError, match=r"is a file of the method tic_ft, .* choose one that Tune-A-Video Train made"):
        load_tuned(save_lora(other, tmp_path / "lora.safetensors"))
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_tuned(tmp_path / "text.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update({"more": torch.zeros(1)}), "other tensors than Tune-A-Video's"),
        (lambda f: f.clear(), "or none; copy it again"),
        (lambda f: f.pop("queries.mid.0.attn1.to_q.lora_down.weight"), r"lacks a part of mid\.0\.attn1\.to_q"),
        (lambda f: f.pop("queries.mid.0.attn1.to_q.alpha"), r"lacks a part of mid\.0\.attn1\.to_q"),
        (lambda f: f.pop("queries.mid.0.attn1.to_q.lora_up.weight"), "alone; copy it again"),
        (
            lambda f: f.update({"queries.mid.0.attn1.to_q.lora_down.weight": torch.zeros(5, 8)}),
            r"lacks a part of mid\.0\.attn1\.to_q that fits",
        ),
        (lambda f: f.metadata.pop("fewshot_video.base_family"), "does not say on which base it was tuned"),
        (lambda f: f.metadata.update({"fewshot_video.group_norms": '"none"'}), "group norms 'none' are not known"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(change, said):
    file = file_of(layers(2))
    change(file)
    with pytest.raises(ValueError, match=said):
        tuned_from(file, "a.safetensors")
