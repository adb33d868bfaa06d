"""Presets choose valid settings, and what they chose can be read."""

from __future__ import annotations

import pytest

from pack.training.core.config import TrainConfig, module_pattern
from pack.training.core.presets import CUSTOM, PRESETS, summary_of, with_preset


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_a_preset_chose_is_set_and_said(preset):
    config = with_preset(TrainConfig(weight_decay=0.5), preset)
    text = summary_of(config, preset)
    assert config.weight_decay == 0.5
    assert "weight_decay 0.5" in text
    for name, value in PRESETS[preset].items():
        assert getattr(config, name) == value
        assert f"{name} {value}" in text


def test_custom_leaves_everything_as_it_is():
    assert with_preset(TrainConfig(rank=3), CUSTOM) == TrainConfig(rank=3)
    assert summary_of(TrainConfig(), CUSTOM) == "the defaults"


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="no preset 'best'; choose one of custom"):
        with_preset(TrainConfig(), "best")


@pytest.mark.parametrize(
    ("modules", "matched"),
    [
        ("self-attention", {"blocks.0.self_attn.q", "blocks.0.q", "blocks.0.attn_out"}),
        ("cross-attention", {"blocks.0.cross_attn.v"}),
        ("feed-forward", {"blocks.0.ffn.2", "blocks.0.ff_proj"}),
        ("attention, head.head", {
            "blocks.0.self_attn.q", "blocks.0.q", "blocks.0.attn_out", "blocks.0.cross_attn.v", "head.head",
        }),
        ("all blocks", {
            "blocks.0.self_attn.q", "blocks.0.q", "blocks.0.attn_out", "blocks.0.cross_attn.v", "blocks.0.ffn.2",
            "blocks.0.ff_proj", "blocks.0.norm1.linear",
        }),
    ],
)  # fmt: skip
def test_module_presets_name_their_layers(modules, matched):
    names = {
        "blocks.0.self_attn.q", "blocks.0.q", "blocks.0.attn_out", "blocks.0.cross_attn.v", "blocks.0.ffn.2",
        "blocks.0.ff_proj", "blocks.0.norm1.linear", "head.head", "text_embedding.0",
    }  # fmt: skip
    pattern = module_pattern(modules)
    assert pattern is not None
    assert {name for name in names if pattern.search(name)} == matched
