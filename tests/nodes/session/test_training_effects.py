"""Each setting really acts: on the LoRA, on the levels that are drawn, on the layers, on the file."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from tic_ft_runs import STEPS, train

from pack.nodes.host.model import families, loras
from pack.nodes.host.model.experts import MARK, resolved
from pack.nodes.host.model.families import FAMILIES
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.sampling.context import put_on_experts
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.training import FewShotRunSettings, FewShotTrainSettings
from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel, load_lora
from pack.training.lora.metadata import from_metadata, to_metadata

WAN = FAMILIES[0]


def same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def renamed(captions: str) -> Any:
    """The same pairs with other captions."""
    data = encoded_pairs()
    samples = tuple(replace(sample, caption=captions * (i + 5)) for i, sample in enumerate(data.dataset.samples))
    data.dataset = replace(data.dataset, samples=samples)
    return data


@pytest.mark.parametrize(("dropout", "equal"), [(1.0, True), (0.0, False)])
def test_with_all_captions_dropped_they_have_no_effect(model, dropout, equal):
    settings = TrainConfig(caption_dropout=dropout)
    loras_of = [
        train(model, f"captions {dropout} {name}", settings=settings, encoded=renamed(name))[0] for name in ("a", "zz")
    ]
    assert same(*loras_of) is equal


@pytest.mark.parametrize(
    "settings",
    [
        {"ema_decay": 0.9},
        {"accumulation": 2},
        {"optimizer": "adafactor"},
        {"weight_decay": 0.5},
        {"max_grad_norm": 0.001},
        {"lr_schedule": "linear"},
        {"warmup_steps": 3},
        {"density": "logit_normal"},
        {"density": "high_noise"},
        {"shift": 3.0},
        {"betas": (0.5, 0.9)},
        {"alpha": 1.0},
        {"caption_dropout": 0.5},
        {"sigma_low": 0.5},
    ],
    ids=str,
)
def test_a_setting_changes_what_is_learned(model, settings):
    name = str(settings).translate(str.maketrans("", "", "{}':,()"))
    plain, other = train(model, "as by default")[0], train(model, f"set {name}", settings=TrainConfig(**settings))[0]
    ups = [key for key in plain if key.endswith("lora_up.weight")]
    assert any(not torch.equal(plain[key], other[key]) for key in ups)


@pytest.mark.parametrize(
    "settings",
    [{"save_every": 2}, {"keep": 5}, {"validate_every": 2}, {"sample_every": 2}, {"checkpointing": "blocks"}],
)
def test_how_a_run_is_kept_and_shown_does_not_change_what_is_learned(model, settings):
    data = {"validation": encoded_pairs(seed=3)}
    plain = train(model, "bookkeeping", **data)
    other = train(model, f"bookkeeping {next(iter(settings))}", settings=TrainConfig(**settings), **data)
    assert same(plain[0], other[0])
    assert from_metadata(plain[0].metadata)["run_key"] == from_metadata(other[0].metadata)["run_key"]


@pytest.mark.parametrize(
    ("modules", "ends"),
    [
        ("cross-attention", {"cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o"}),
        ("feed-forward", {"ffn.0", "ffn.2"}),
        ("self_attn.q, head.head", {"self_attn.q", "head.head"}),
        (r"regex:blocks\.1\.ffn\.0", {"ffn.0"}),
    ],
)
def test_only_the_chosen_layers_are_trained(model, modules, ends):
    before = tiny_wan.weights_of(model)
    name = "".join(c for c in modules if c.isalnum())
    lora = train(model, f"layers {name}", settings=TrainConfig(target_modules=modules))[0]
    layers = {key.split(".lora_")[0] for key in lora if ".lora_" in key}
    assert {".".join(layer.split(".")[-2:]) for layer in layers} == ends
    assert all(torch.equal(value, before[key]) for key, value in tiny_wan.weights_of(model).items())


def history_of(path: str) -> dict[str, Any]:
    return json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))


def test_levels_stay_within_their_range(model):
    settings = TrainConfig(sigma_low=0.4, sigma_high=0.5, shift=2.0)
    levels = torch.tensor(history_of(train(model, "range", settings=settings, steps=10)[3])["sigma"])
    assert levels.shape == (10, 2)
    assert ((levels >= 0.4) & (levels <= 0.5)).all()


@pytest.mark.parametrize(("expert", "low", "high"), [("high noise", 0.875, 1.0), ("low noise", 0.0, 0.875)])
def test_an_experts_lora_is_named_after_it_and_sees_its_levels_alone(model, expert, low, high):
    lora, _, _, path, _ = train(model, "wan22", settings=TrainConfig(expert=expert), steps=10)
    assert Path(path).name.startswith(f"wan22_{expert.replace(' ', '_')}_0")
    assert from_metadata(load_lora(Path(path)).metadata)["expert"] == expert
    levels = torch.tensor(history_of(path)["sigma"])
    assert ((levels >= low) & (levels <= high)).all()
    patched = loras.apply_lora(model, lora, 1.0, "mine")
    assert patched.get_attachment(MARK) == expert
    assert patched.clone().get_attachment(MARK) == expert
    assert model.get_attachment(MARK) is None


def marked(model: Any, expert: str) -> Any:
    """The model with a LoRA of an expert."""
    layer = "diffusion_model.blocks.0.self_attn.q"
    tensors = {f"{layer}.lora_up.weight": torch.zeros(48, 2), f"{layer}.lora_down.weight": torch.zeros(2, 48)}
    record = {"expert": expert, "base_family": "Wan 2.1"} if expert else {}
    return loras.apply_lora(model, LoraModel(tensors, to_metadata(record)), 1.0, f"{expert}.safetensors")


def test_a_swapped_pair_of_experts_is_refused(model):
    from pack.methods.tic_ft import Layout

    context = Context(Layout.linear(0, 0, 2), torch.zeros(1, 16, 0, 4, 4))
    high, low, plain = (marked(model, expert) for expert in ("high noise", "low noise", ""))
    for pair in ((high, low), (high, plain), (plain, low), (plain, plain)):
        put_on_experts(context, video_model(pair[0]), pair[1])
    for first, second, said in (
        (low, high, "model takes the high noise expert, and its LoRA is for the low noise one"),
        (high, high, "model_2 takes the low noise expert"),
        (low, plain, "model takes the high noise expert"),
    ):
        with pytest.raises(ValueError, match=said):
            put_on_experts(context, video_model(first), second)


def test_one_model_with_both_experts_loras_is_refused(model):
    with pytest.raises(ValueError, match="already has a LoRA for the high noise one"):
        marked(marked(model, "high noise"), "low noise")


def test_which_expert_a_lora_is_for_is_told_because_the_model_does_not_say(model, caplog):
    with caplog.at_level(logging.INFO):
        marked(model, "")
        assert "expert" not in caplog.text
        marked(model, "low noise")
    assert "low noise.safetensors says that it is for the low noise expert; no model says which it is" in caplog.text


def test_a_family_without_experts_is_refused_them(model, monkeypatch):
    table = tuple(replace(family, expert_boundary=None) for family in families.FAMILIES)
    monkeypatch.setattr(families, "FAMILIES", table)
    with pytest.raises(ValueError, match=r'Wan 2\.1 has no experts; set expert to "both"'):
        train(model, "no experts", settings=TrainConfig(expert="high noise"))


def test_a_range_on_the_other_experts_side_is_refused(model):
    config = TrainConfig(expert="high noise", sigma_high=0.5)
    with pytest.raises(ValueError, match=r"the other side of 0\.875 than the range from 0 to 0\.5"):
        resolved(config, model, WAN)
    assert resolved(replace(config, expert="low noise", sigma_low=0.2), model, WAN).sigma_high == 0.5


def test_a_shift_of_zero_is_the_models_own(model):
    own = model.get_model_object("model_sampling").shift
    assert own != 1.0
    assert resolved(TrainConfig(shift=0.0), model, WAN).shift == own
    lora = train(model, "own shift", settings=TrainConfig(shift=0.0))[0]
    assert same(lora, train(model, "same shift", settings=TrainConfig(shift=own))[0])


def test_a_bf16_lora_is_the_fp32_one_rounded_and_half_as_large(model):
    full, half = (train(model, kind, settings=TrainConfig(lora_dtype=kind)) for kind in ("fp32", "bf16"))
    for key, value in load_lora(Path(half[3])).items():
        assert value.dtype == (torch.float32 if key.endswith("alpha") else torch.bfloat16)
        assert torch.equal(value, full[0][key].to(value.dtype))
    sizes = [sum(value.nbytes for value in run[0].values()) for run in (full, half)]
    assert sizes[1] < 0.52 * sizes[0]


def defaults_of(node: Any) -> dict[str, Any]:
    """The values of a node's widgets."""
    return {entry.id: entry.default for entry in node.define_schema().inputs if hasattr(entry, "default")}


def test_the_settings_nodes_reach_the_run(model):
    values = defaults_of(FewShotTrainSettings)
    values |= {"optimizer": "adamw_8bit", "ema_decay": 0.5, "sigma_low": 0.25, "accumulation": 2}
    settings, summary, *_ = FewShotTrainSettings.execute(**values).result
    run_values = {**defaults_of(FewShotRunSettings), "lora_dtype": "bf16", "keep": 7}
    settings = FewShotRunSettings.execute(settings=settings, **run_values).result[0]
    lora = train(model, "both nodes", settings=settings)[0]
    config = json.loads(from_metadata(lora.metadata)["config"])
    for name, value in {"optimizer": "adamw_8bit", "ema_decay": 0.5, "sigma_low": 0.25, "accumulation": 2}.items():
        assert config[name] == value
        assert f"{name} {value}" in summary
    assert (config["lora_dtype"], config["keep"]) == ("bf16", 7)


def test_the_defaults_of_the_settings_nodes_are_those_without_them():
    values = defaults_of(FewShotTrainSettings)
    settings, summary, rank, rate, steps = FewShotTrainSettings.execute(**values).result
    assert FewShotRunSettings.execute(settings=settings, **defaults_of(FewShotRunSettings)).result[0] == TrainConfig()
    assert (summary, rank, rate, steps) == ("the defaults", 16, 1e-4, 200)


def test_a_preset_is_put_over_the_node_and_offers_its_rank_rate_and_steps():
    values = defaults_of(FewShotTrainSettings)
    settings, summary, *numbers = FewShotTrainSettings.execute(**{**values, "preset": "one-shot motion"}).result
    assert settings.density == "high_noise"
    assert numbers == [16, 2e-4, 400]
    assert summary.startswith('preset "one-shot motion":')


def test_a_workflow_with_an_optimiser_that_is_not_installed_still_runs(model, caplog):
    assert FewShotTrainSettings.validate_inputs(optimizer="prodigy (prodigyopt)") is True
    assert "unknown" in str(FewShotTrainSettings.validate_inputs(optimizer="magic"))
    lora, _, steps, *_ = train(
        model, "shared", settings=TrainConfig(optimizer="prodigy (prodigyopt)"), learning_rate=1.0
    )
    assert steps == STEPS
    config = json.loads(from_metadata(lora.metadata)["config"])
    if "prodigyopt is not installed" in caplog.text:
        assert (config["optimizer"], config["learning_rate"]) == ("adamw", 1e-4)
