"""What a LoRA file says about itself, for us and for other tools."""

from __future__ import annotations

import json

import pytest

from pack.training.core.config import TrainConfig
from pack.training.lora.metadata import ARCHITECTURES, PACK_VERSION, file_metadata, from_metadata, plain_value

RECORD = {
    "method": '"tic_ft"', "task": '"keyframes"', "base_family": "Wan 2.1", "base_model": "WAN21 with 1419 M parameters",
    "width": "832", "height": "480", "clips": "12", "steps": "300",
}  # fmt: skip
CONFIG = TrainConfig(rank=8, alpha=4.0, learning_rate=2e-4, steps=400, seed=7, batch_size=2, lr_schedule="cosine")


def test_the_record_is_in_it_with_the_packs_version():
    assert from_metadata(file_metadata(RECORD, CONFIG)) == {**RECORD, "pack_version": PACK_VERSION}


def test_a_name_of_a_damaged_file_still_fits_into_a_sentence():
    damaged = {**RECORD, "base_family": "Wan\n" * 9999, "base_model": "[" * 9999, "workflow": "{}" * 9999}
    read = from_metadata(file_metadata(damaged, CONFIG))
    assert read["base_family"].startswith("Wan Wan")
    assert max(len(read[name]) for name in ("base_family", "base_model")) < 210
    assert read["workflow"] == damaged["workflow"]


def test_modelspec_names_architecture_code_title_and_size():
    metadata = file_metadata(RECORD, CONFIG, title="my run")
    assert {key: value for key, value in metadata.items() if key.startswith("modelspec.")} == {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "wan2.1/lora",
        "modelspec.implementation": "https://github.com/Wan-Video/Wan2.1",
        "modelspec.title": "my run",
        "modelspec.resolution": "832x480",
    }
    assert file_metadata(RECORD, CONFIG)["modelspec.title"] == "TIC-FT on Wan 2.1"


@pytest.mark.parametrize(("key", "value"), [
    ("network_dim", "8"), ("network_alpha", "4.0"), ("network_module", "networks.lora"), ("learning_rate", "0.0002"),
    ("max_train_steps", "400"), ("steps", "300"), ("base_model_version", "wan2.1"), ("seed", "7"),
    ("optimizer", "adamw"), ("lr_scheduler", "cosine"), ("output_name", "my run"), ("batch_size_per_device", "2"),
    ("num_train_items", "12"), ("resolution", "832x480"), ("sd_model_name", "WAN21 with 1419 M parameters"),
])  # fmt: skip
def test_other_tools_find_their_training_keys(key, value):
    assert file_metadata(RECORD, CONFIG, title="my run")[f"ss_{key}"] == value
    assert file_metadata(RECORD, TrainConfig(rank=8))["ss_network_alpha"] == "8.0"  # unless another is given


def test_the_same_training_gives_the_same_text_and_a_date_only_when_given():
    first, second = (file_metadata(RECORD, CONFIG) for _ in range(2))
    assert list(first.items()) == list(second.items())
    assert not any("date" in key or "time" in key.removeprefix("ss_timestep") for key in first)
    assert file_metadata(RECORD, CONFIG, date="2026-01-31")["modelspec.date"] == "2026-01-31"


def test_all_values_are_text_and_none_is_empty():
    for record in (RECORD, {}):
        metadata = file_metadata(record, CONFIG, workflow={"prompt": "{}"})
        assert all(isinstance(value, str) and value for value in metadata.values())
        assert metadata["prompt"] == "{}"


def test_every_family_that_can_be_trained_has_an_architecture():
    assert {"Wan 2.1", "Wan 2.2 5B", "CogVideoX 1.5", "CogVideoX 2B", "CogVideoX 5B"} <= ARCHITECTURES.keys()
    assert len({name for name, _ in ARCHITECTURES.values()}) == len(ARCHITECTURES)
    assert file_metadata({**RECORD, "base_family": "New"}, CONFIG)["modelspec.architecture"] == "New/lora"


def test_a_value_is_read_as_json_where_it_is_json():
    record = {"a": json.dumps([0.5, "x"]), "b": "plain words", "c": "3"}
    assert [plain_value(record, key) for key in "abcd"] == [[0.5, "x"], "plain words", 3, None]
