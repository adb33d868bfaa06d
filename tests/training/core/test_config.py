"""Training settings: what is accepted, refused, and kept."""

from __future__ import annotations

import pytest

from pack.training.core.config import TrainConfig, module_pattern


def test_alpha_follows_the_rank_unless_it_is_given():
    assert TrainConfig(rank=8).lora_alpha == 8.0
    assert TrainConfig(rank=8, alpha=4.0).lora_alpha == 4.0


def test_settings_survive_the_way_through_json_values():
    config = TrainConfig(rank=4, lr_schedule="cosine", betas=(0.8, 0.95), caption_dropout=0.1)
    assert TrainConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rank": 0}, "rank"),
        ({"rank": True}, "rank"),
        ({"steps": 1.5}, "steps"),
        ({"alpha": 0.0}, "alpha"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"betas": (0.9,)}, "betas"),
        ({"lr_schedule": "step"}, "lr_schedule"),
        ({"density": "modes"}, "density"),
        ({"shift": -1.0}, "shift"),
        ({"optimizer": " "}, "optimizer"),
        ({"accumulation": 0}, "accumulation"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"sigma_low": -0.1}, "sigma_low"),
        ({"sigma_high": 1.1}, "sigma_high"),
        ({"sigma_low": 0.6, "sigma_high": 0.5}, "sigma_low is 0.6 and sigma_high 0.5"),
        ({"lora_dtype": "fp8"}, "lora_dtype"),
        ({"checkpointing": "on"}, "checkpointing"),
        ({"save_every": -1}, "save_every"),
        ({"keep": 0}, "keep"),
        ({"validate_every": 1.5}, "validate_every"),
        ({"sample_every": -1}, "sample_every"),
        ({"expert": "high"}, "expert"),
        ({"caption_dropout": 1.5}, "caption_dropout"),
        ({"target_modules": " , "}, "target_modules"),
        ({"target_modules": "regex:("}, "target_modules"),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(values, named):
    with pytest.raises(ValueError, match=named):
        TrainConfig(**values)


def test_unknown_settings_are_refused_by_name():
    with pytest.raises(ValueError, match="ranc"):
        TrainConfig.from_dict({"ranc": 4})


def test_names_match_whole_endings_only():
    pattern = module_pattern("q, ffn.0")
    assert pattern is not None
    assert pattern.search("blocks.0.self_attn.q")
    assert pattern.search("blocks.0.ffn.0")
    assert not pattern.search("blocks.0.self_attn.norm_q")
    assert not pattern.search("blocks.0.self_attn.q.extra")


def test_the_attention_preset_is_left_to_the_family():
    assert module_pattern("attention") is None


def test_an_expression_is_searched_as_it_is():
    pattern = module_pattern(r"regex:blocks\.[01]\.")
    assert pattern is not None
    assert pattern.search("blocks.1.ffn.2")
    assert not pattern.search("blocks.2.ffn.2")
