"""Alpha from the metadata of a LoRA file."""

from __future__ import annotations

import json

import pytest

from pack.training.lora.alpha import adapter_settings, trained_alpha

LAYER = "blocks.3.attn1.to_q"


def saved_by_the_authors(**settings: object) -> dict[str, str]:
    """As kinam0252/TIC-FT, finetrainers/trainer/sft_trainer/trainer.py writes it."""
    known = {"r": 128, "lora_alpha": 64, "init_lora_weights": True, "target_modules": "blocks.*(to_q|to_k)"}
    return {"lora_config": json.dumps({**known, **settings}), "format": "pt"}


def test_the_authors_settings_are_read():
    settings = adapter_settings(saved_by_the_authors())
    assert trained_alpha(settings, LAYER, 128) == 64


def test_diffusers_settings_are_read_with_the_name_of_the_part_and_without():
    bare = {"r": 4, "lora_alpha": 8}
    named = {**{f"transformer.{key}": value for key, value in bare.items()}, "text_encoder.lora_alpha": 99}
    for settings in (bare, named):
        read = adapter_settings({"lora_adapter_metadata": json.dumps(settings)})
        assert trained_alpha(read, LAYER, 4) == 8


def test_layers_may_have_values_of_their_own():
    settings = {
        "r": 4, "lora_alpha": 8,
        "alpha_pattern": {"blocks.3.attn1.to_q": 2, "attn1.to_.": 5}, "rank_pattern": {"to_q": 16},
    }  # fmt: skip
    assert trained_alpha(settings, LAYER, 16) == 2
    assert trained_alpha(settings, "blocks.13.attn1.to_q", 16) == 5
    assert trained_alpha(settings, "blocks.3.attn2.to_v", 4) == 8


def test_a_rank_stabilised_lora_is_scaled_by_the_root():
    settings = {"r": 16, "lora_alpha": 8, "use_rslora": True}
    assert trained_alpha(settings, LAYER, 16) / 16 == pytest.approx(8 / 16**0.5)


@pytest.mark.parametrize("settings", [{}, {"r": 4}, {"lora_alpha": None}])
def test_without_an_alpha_there_is_none(settings):
    assert trained_alpha(settings, LAYER, 4) is None
    assert adapter_settings({"format": "pt"}) == {}


def test_another_rank_than_the_settings_say_is_refused():
    with pytest.raises(ValueError, match=r"say rank 128 for blocks\.3\.attn1\.to_q, which has rank 64; export"):
        trained_alpha(adapter_settings(saved_by_the_authors()), LAYER, 64)


@pytest.mark.parametrize("text", ["{", "[1]", '"r"', "3"])
def test_damaged_metadata_is_refused(text):
    with pytest.raises(ValueError, match=r"^the LoRA's adapter settings are .*; (copy or )?export it again$"):
        adapter_settings({"lora_config": text})


@pytest.mark.parametrize("change", [
    {"lora_alpha": "x"}, {"lora_alpha": [1]}, {"lora_alpha": float("nan")}, {"r": "x"}, {"alpha_pattern": 3},
    {"alpha_pattern": {"(": 1}}, {"lora_alpha": 10**400}, {"r": 10**400},
])  # fmt: skip
def test_settings_that_are_no_numbers_are_refused(change):
    with pytest.raises(ValueError, match="adapter settings are damaged"):
        trained_alpha({"r": 4, "lora_alpha": 8, **change}, LAYER, 4)
