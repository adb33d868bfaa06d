"""TICFT_SETTINGS out of a file or a link say nothing that would be allocated without end."""

from __future__ import annotations

import json

import pytest

from pack.methods.tic_ft import Layout
from pack.training.tic_ft.layout import check_settings, settings_from_record, ticft_settings, unlabelled_settings

GOOD = ticft_settings("image to video", Layout.linear(1, 3, 9))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("condition_latents", 10**9),
        ("condition_latents", -1),
        ("condition_latents", "1"),
        ("condition_latents", True),
        ("buffer_latents", 10**12),
        ("buffer_latents", 2.5),
        ("target_latents", 10**9),
        ("buffer_levels", [0.5] * 10**5),
        ("buffer_levels", [float("nan")]),
        ("buffer_levels", "0.25"),
        ("fps", 0.0),
        ("fps", float("inf")),
        ("width", 10**9),
        ("task", "no such task"),
        ("caption_template", 7),
        ("per_frame_timesteps", "yes"),
    ],
)
def test_a_value_that_nothing_could_be_sampled_with_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"TIC-FT settings say {name} .* is needed; train or copy the LoRA again"):
        check_settings({**GOOD, name: value})
    if value == value and name != "fps":  # NaN and infinity are no JSON
        record = {key: json.dumps(entry) for key, entry in {**GOOD, name: value}.items()}
        with pytest.raises(ValueError, match=name):
            settings_from_record(record)


def test_what_training_writes_and_what_is_assumed_is_taken():
    check_settings(GOOD)
    check_settings(unlabelled_settings())
    record = {key: json.dumps(value) for key, value in GOOD.items()}
    assert settings_from_record(record) == GOOD


def test_a_deeply_nested_record_is_a_sentence():
    record = {key: json.dumps(value) for key, value in GOOD.items()} | {"buffer_levels": "[" * 10**5}
    with pytest.raises(ValueError, match="TIC-FT settings are damaged"):
        settings_from_record(record)
