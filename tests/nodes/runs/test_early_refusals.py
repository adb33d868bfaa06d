"""Settings that cannot work are refused before a clip is encoded."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import tiny_wan
from clip_pairs import encoded_pairs
from tic_ft_runs import train

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
