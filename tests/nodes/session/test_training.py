"""Training settings, and LoRA files as the nodes load and save them."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import pytest
import tiny_wan
import torch
from tic_ft_runs import probe, train

from pack.nodes.host.model import loras
from pack.nodes.tic_ft_train import TICFTLoadLoRA
from pack.nodes.training import FewShotSaveLoRA, FewShotTrainSettings
from pack.training.lora.file import load_lora


def test_the_settings_node_carries_every_input(model):
    values = dict.fromkeys(("alpha", "caption_dropout", "weight_decay"), 0.0)
    values |= {"beta_1": 0.8, "beta_2": 0.9, "max_grad_norm": 2.0, "lr_schedule": "linear", "warmup_steps": 1}
    values |= {
        "density": "logit_normal",
        "shift": 3.0,
        "target_modules": "q, v",
        "per_frame_timesteps": False,
    }
    values |= {
        "preset": "custom",
        "optimizer": "adamw",
        "accumulation": 2,
        "ema_decay": 0.5,
        "lr_cycles": 3,
        "lr_power": 2.0,
    }
    values |= {"sigma_low": 0.1, "sigma_high": 0.9}
    assert set(values) == {entry.id for entry in FewShotTrainSettings.define_schema().inputs}
    config = FewShotTrainSettings.execute(**values).result[0]
    lora = train(model, "settings", settings=config)[0]
    assert config.betas == (0.8, 0.9)
    assert {key.split(".lora_")[0].split(".")[-1] for key in lora if ".lora_" in key} == {"q", "v"}


def test_the_loader_offers_our_files_and_applies_all_of_them(model, caplog):
    _, _, _, path, settings = train(model, "offered")
    name = Path(path).relative_to(Path(folder_paths.get_output_directory()) / "loras")
    assert str(name) in loras.lora_names()
    with caplog.at_level("INFO"), torch.inference_mode():
        patched, read = TICFTLoadLoRA.execute(model, str(name), 1.0).result
    assert read == settings
    assert "16 of 16 layers" in caplog.text
    xt, sigma, context = probe()
    assert not torch.equal(
        tiny_wan.velocity_of(patched, xt, sigma, context), tiny_wan.velocity_of(model, xt, sigma, context)
    )


def test_a_base_of_another_size_is_refused_naming_both(model, tmp_path):
    lora = train(model, "small")[0]
    assert lora.metadata["fewshot_video.base_patch"] == "1 x 2 x 2"
    wider = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wide.safetensors", dim=96))
    with pytest.raises(ValueError, match=r"was trained on WAN21 with 0\.08 M .* the model is WAN21 with 0\.\d+ M"):
        loras.apply_lora(wider, lora, 1.0, "small.safetensors")


def test_a_lora_of_other_layers_is_refused(model):
    foreign = loras.LoraModel({"transformer.x.lora_A.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match="none of them is in WAN21"):
        loras.apply_lora(model, foreign, 1.0, "foreign.safetensors")


def test_a_lora_without_settings_gets_the_papers_layout_with_a_notice(caplog):
    settings = loras.ticft_settings_of(loras.LoraModel({}), "plain.safetensors")
    assert (settings["condition_latents"], settings["buffer_latents"], settings["target_latents"]) == (
        1,
        3,
        9,
    )
    assert not {"task", "caption_template"} & settings.keys()
    assert "plain.safetensors says nothing" in caplog.text


def test_saving_keeps_the_metadata_and_takes_a_plain_dictionary_too(model):
    lora = train(model, "saved")[0]
    ours, plain = (Path(FewShotSaveLoRA.execute(value, "mine/again").result[0]) for value in (lora, dict(lora)))
    assert load_lora(ours).metadata == lora.metadata
    assert load_lora(plain).metadata == {}
    assert ours != plain


@pytest.mark.parametrize("name", ["", "../out", "/etc/x", "a/../../b", "C:\\x", "..\\out"])
def test_a_file_name_that_leads_out_of_the_folder_is_refused(name):
    with pytest.raises(ValueError, match="leads out of output/loras"):
        FewShotSaveLoRA.execute({"a.lora_up.weight": torch.zeros(1)}, name)
