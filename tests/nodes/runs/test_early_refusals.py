"""Settings that cannot work are refused before a clip is encoded."""

from __future__ import annotations

import logging
from typing import Any

import aicl_runs
import motion_runs
import pytest
import tiny_aicl
import tiny_unet
import tiny_wan
import tuning_clips
from clip_pairs import encoded_pairs
from tic_ft_runs import train

from pack.nodes.host.services import node_text
from pack.training.core.config import TrainConfig
from pack.training.data.encoding import EncodedDataset

pytestmark = pytest.mark.usefixtures("own_output")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path_factory.mktemp("wan") / "wan.safetensors"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"warmup_steps": 100}, "a warm-up of 100 steps does not end within the run's 6 steps"),
        ({"target_modules": "to_q"}, "target_modules 'to_q' matches no linear layer of WanModel"),
        ({"target_modules": "regex:no such"}, "matches no linear layer"),
    ],
)
def test_settings_that_cannot_work_are_refused_while_nothing_is_encoded(model, monkeypatch, settings, sentence):
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(ValueError, match=sentence):
        train(model, "", settings=TrainConfig(**settings))


def test_validation_without_clips_is_said(model, caplog):
    with caplog.at_level(logging.WARNING):
        train(model, "", steps=2, settings=TrainConfig(validate_every=1))
    assert "validate_every is 1, but there is nothing to validate: connect validation clips" in caplog.text


def test_validation_clips_of_another_size_are_said(model, caplog):
    with caplog.at_level(logging.WARNING):
        train(model, "", steps=2, validation=encoded_pairs(width=32, height=32))
    assert "the validation has clips of 32x32, the training of" in caplog.text


TRAINERS = {
    "AICL": lambda **values: aicl_runs.train(tiny_aicl.model_of("Wan 2.1"), "", **values),
    "appearance": lambda **values: motion_runs.train(tiny_aicl.model_of("Wan 2.1"), "", **{"steps": 300, **values}),
    "motion": lambda **values: motion_runs.train(
        tiny_aicl.model_of("Wan 2.1"), "", **{"appearance_steps": 300, **values}
    ),
    "Tune-A-Video": lambda **values: tuning_clips.tune(tiny_unet.fresh_unet(), "", **values),
}


@pytest.mark.parametrize("name", TRAINERS)
def test_a_warm_up_that_does_not_end_is_refused_by_every_trainer_while_nothing_is_encoded(name, monkeypatch):
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(ValueError, match="a warm-up of 100 steps does not end within the run's"):
        TRAINERS[name](settings=TrainConfig(warmup_steps=100))


def test_layers_that_the_motion_cannot_train_are_refused_before_its_appearance_is_trained(monkeypatch):
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(ValueError, match="target_modules 'to_q' matches no linear layer of WanModel"):
        TRAINERS["motion"](settings=TrainConfig(target_modules="to_q"))


def said(caplog: pytest.LogCaptureFixture, text: str) -> list[int]:
    """Places of a warning among all that was logged."""
    return [i for i, record in enumerate(caplog.records) if text in record.getMessage()]


@pytest.mark.parametrize(("name", "values"), [("motion", {"appearance_steps": 2}), ("Tune-A-Video", {})])
def test_a_method_without_validation_says_so_once(name, values, caplog):
    with caplog.at_level(logging.WARNING):
        TRAINERS[name](steps=2, settings=TrainConfig(validate_every=1), **values)
    assert len(said(caplog, "nothing to validate: this method has no validation, set it to 0")) == 1


def test_what_is_to_be_looked_at_stands_on_the_node_before_anything_is_encoded(model, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(node_text, "show_text", shown.append)
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(TypeError):  # where it would be encoded
        train(model, "", settings=TrainConfig(validate_every=1))
    assert shown == ["validate_every is 1, but there is nothing to validate: connect validation clips"]


def test_aicl_says_that_its_validation_is_of_another_size(monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(node_text, "show_text", shown.append)
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(TypeError):
        TRAINERS["AICL"](validation=aicl_runs.clips_of(size=32))
    assert shown == ["the validation has clips of 32x32, the training of 16x16; use one size for both"]


ODD = {
    "AICL": lambda: {"encoded": aicl_runs.clips_of(size=18)},
    "appearance": lambda: {"encoded": motion_runs.one_clip(width=18, height=18)},
    "Tune-A-Video": lambda: {"encoded": tuning_clips.encoded_clips(width=18)},
}


@pytest.mark.parametrize("name", ODD)
def test_a_size_that_the_model_does_not_take_is_refused_while_nothing_is_encoded(name, monkeypatch):
    monkeypatch.setattr(EncodedDataset, "encode", None)
    with pytest.raises(ValueError, match="18"):
        TRAINERS[name](**ODD[name]())
