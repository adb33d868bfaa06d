"""What TICFTLoadLoRA says of a file, what it refuses, and the settings it hands on."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import folder_paths
import lora_files as files
import pytest
import tiny_sampling as tiny
import torch
from help_pages import page, table
from lora_files import PAIRS
from tiny_vae import PIXELS, clip, tiny_vae
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model import loras
from pack.nodes.tic_ft import TICFTContext, TICFTPrompt
from pack.nodes.tic_ft_train import TICFTLoadLoRA

STRENGTH = 0.75


def test_a_lora_of_another_family_is_refused_naming_both():
    file = files.save_lora_file(files.file_tensors(files.forged("CogVideoX 1.0")), "cog.safetensors")
    sentence = (
        r"^cog\.safetensors is a CogVideoX LoRA in the names of diffusers with 8 layers and none of them is in "
        r"WAN21 with 0\.08 M parameters; choose a LoRA that was made for it$"
    )
    with pytest.raises(ValueError, match=sentence):
        files.load("Wan 2.1", file)
    file = files.save_lora_file(files.file_tensors(files.forged("Wan 2.1")), "wan.safetensors")
    with pytest.raises(ValueError, match=r"is a Wan LoRA .* and none of them is in CogVideoX with 0\.14 M"):
        files.load("CogVideoX 1.0", file)


def test_a_lora_of_another_size_is_refused_naming_both():
    layers = files.layers_of(PAIRS["Wan 2.1"].diffusers())
    wide = {key: torch.Size([96, 96]) for key in layers if re.fullmatch(files.ATTENTION, key)}
    file = files.save_lora_file(files.file_tensors(files.matrices(wide)), "wide.safetensors")
    with pytest.raises(ValueError, match=r"another size, the model is WAN21 .* is \[48, 48\], the LoRA's \[96, 96\]"):
        files.load("Wan 2.1", file)


def test_layers_that_the_model_has_not_are_named_in_a_warning(caplog):
    pairs = files.forged("Wan 2.1")
    layers = {f"blocks.{block}.attn1.to_q": torch.Size([48, 48]) for block in range(2, 6)}
    tensors = files.file_tensors({**pairs, **files.matrices(layers)})
    tensors["text_encoder.x.alpha"] = torch.tensor(1.0)
    file = files.save_lora_file(tensors, "partial.safetensors")
    with caplog.at_level(logging.INFO):
        model, _ = files.load("Wan 2.1", file)
    assert "partial.safetensors: 16 of 21 layers applied at strength 1" in caplog.text
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(
        line.startswith("partial.safetensors: WAN21 with 0.08 M parameters lacks 5 of its layers, they are left out: ")
        and line.count("attn1.to_q") + line.count("text_encoder.x") == 3
        and line.endswith(" and 2 more")
        for line in warnings
    )
    files.check_weights(model, files.expected("Wan 2.1", pairs, 1.0))


FIRST = "transformer.blocks.0.attn1.to_q"


@pytest.mark.parametrize(("change", "sentence"), [
    ({f"{FIRST}.lora_B.bias": 48}, rf"cannot be read: {FIRST}\.lora_B\.bias; save it as a plain"),
    ({f"{FIRST}.lora_B.weight": 0}, r"only the lora_down half of .*blocks\.0\.self_attn\.q; copy"),
    ({f"{FIRST}.lora_A.weight": 0}, r"only the lora_up half of .*blocks\.0\.self_attn\.q; copy"),
    ({"blocks.0.attn1.to_q.lora_A.weight": 48}, r"one tensor twice, as .*blocks\.0\.attn1\.to_q.* keep one adapter"),
])  # fmt: skip
def test_files_that_would_be_applied_in_part_are_refused(change, sentence):
    tensors = files.file_tensors(files.forged("Wan 2.1"))
    for key, size in change.items():
        tensors = {name: value for name, value in tensors.items() if name != key}
        if size:
            tensors[key] = torch.ones(size)
    with pytest.raises(ValueError, match=sentence):
        files.load("Wan 2.1", files.save_lora_file(tensors, "odd.safetensors"))


def test_a_tensor_the_host_cannot_read_in_its_own_names_is_logged(caplog):
    pair = torch.ones(2, 48), torch.ones(48, 2)
    tensors = {f"diffusion_model.blocks.0.self_attn.q.lora_{n}.weight": v for n, v in zip("AB", pair, strict=True)}
    tensors["diffusion_model.blocks.0.self_attn.q.extra"] = torch.ones(1)
    files.load("Wan 2.1", files.save_lora_file(tensors, "extra.safetensors"))
    assert "cannot be read are left out: diffusion_model.blocks.0.self_attn.q.extra" in caplog.text


def test_a_file_of_the_hosts_own_trainer_counts_layers_and_not_tensors(caplog):
    layer = "diffusion_model.blocks.0.self_attn.q"
    tensors = {f"{layer}.lora_down.weight": torch.ones(2, 48), f"{layer}.lora_up.weight": torch.ones(48, 2)}
    tensors |= {f"{layer}.alpha": torch.tensor(1.0), f"{layer}.diff_b": torch.ones(48)}
    tensors["diffusion_model.blocks.0.norm3.diff"] = torch.ones(48)
    with caplog.at_level(logging.INFO):
        model, _ = files.load("Wan 2.1", files.save_lora_file(tensors, "core.safetensors"))
    assert "core.safetensors: 2 of 2 layers applied" in caplog.text
    assert "left out" not in caplog.text
    weights = files.expected("Wan 2.1", {}, 0.0)
    weights["blocks.0.self_attn.q.weight"] += 1.0
    weights["blocks.0.self_attn.q.bias"] += 1.0
    weights["blocks.0.norm3.weight"] += 1.0
    files.check_weights(model, weights)


def test_settings_of_another_rank_are_refused():
    tensors = files.file_tensors(files.forged("Wan 2.1"))
    metadata = {"lora_config": json.dumps({"r": 128, "lora_alpha": 128})}
    with pytest.raises(ValueError, match=r"say rank 128 for blocks\.\d\.attn1\.to_\w+, which has rank 3"):
        files.load("Wan 2.1", files.save_lora_file(tensors, "rank.safetensors", metadata))


def test_only_safetensors_files_are_offered_and_read():
    folder = folder_paths.get_folder_paths("loras")[0]
    for name in ("old.ckpt", "old.pt", "fine.safetensors", "LOUD.SAFETENSORS"):
        (Path(folder) / name).write_bytes(b"no tensors")
    offered = loras.lora_names()
    assert {"fine.safetensors", "LOUD.SAFETENSORS"} <= set(offered)
    assert not {"old.ckpt", "old.pt"} & set(offered)
    with pytest.raises(ValueError, match=r"no LoRA 'old\.pt' in safetensors form"):
        loras.read_lora("old.pt")
    for name in ("fine.safetensors", "LOUD.SAFETENSORS"):
        with pytest.raises(ValueError, match="is not a readable safetensors file"):
            loras.read_lora(name)


def context(model: Any, settings: dict[str, Any], task: str, frames: int, **images: Tensor) -> tuple[Any, Any]:
    with torch.inference_mode():
        return TICFTContext.execute(
            model, tiny_vae(), task, PIXELS, PIXELS, frames, settings=settings, **images
        ).args[:2]  # fmt: skip


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 1.0"])
def test_the_authors_file_samples_in_the_papers_layout_with_a_notice(name, caplog):
    pairs = files.forged(name)
    tensors, metadata, _ = files.authors(pairs)
    file = files.save_lora_file(tensors, "authors_i2v.safetensors", metadata)
    with caplog.at_level(logging.INFO):
        model, settings = files.load(name, file, STRENGTH)
    assert f"{file} says nothing about TIC-FT; 1+3+9 latents are assumed" in caplog.text
    model, latent = context(model, settings, "image to video", 36, condition=clip(1))
    place = latent["tic_ft"]
    assert (place["condition"], place["buffer"], place["target"]) == (1, 3, 9)
    assert place["levels"] == [0.25, 0.5, 0.75]
    start = tiny.scene(Layout.linear(1, 3, 9))
    start.latent = latent["samples"]
    output = tiny.sample(model, start, steps=2)
    assert output.isfinite().all()
    assert torch.equal(output[:, :, :1], latent["samples"][:, :, :1])
    files.check_weights(model, files.expected(name, pairs, STRENGTH * 2))
    (caption,) = TICFTPrompt.execute("image to video", "a cat", "it runs", settings).args
    assert caption.endswith("[CONDITION] a cat [VIDEO] it runs")


def test_another_task_keeps_its_own_counts_and_caption():
    file = files.save_lora_file(files.file_tensors(files.forged("Wan 2.1")), "style.safetensors")
    model, settings = files.load("Wan 2.1", file)
    _, latent = context(model, settings, "video to video", 24, condition=clip(25))
    place = latent["tic_ft"]
    assert (place["condition"], place["buffer"], place["target"]) == (4, 3, 6)
    own, plain = (TICFTPrompt.execute("video to video", "a", "b", given).args for given in (settings, None))
    assert own == plain


def test_help_and_tooltip_say_at_which_strength_the_authors_sample():
    tooltip = next(entry.tooltip for entry in TICFTLoadLoRA.define_schema().inputs if entry.id == "strength")
    row = next(row for row in table(page("TICFTLoadLoRA"), "input") if row[0] == "strength")
    for text in (tooltip, row[-1]):
        assert "0.75 without saying so" in text
