"""LoRA files of the TIC-FT authors, in diffusers' and PEFT's keys, through TICFTLoadLoRA."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import comfy.ops
import lora_files as files
import pytest
import tiny_sampling as tiny
import tiny_wan
import torch
from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel
from comfy.ldm.wan.model import WanModel
from diffusers_networks import rope
from lora_files import PAIRS, RANK
from torch import Tensor, nn

from pack.methods.tic_ft import Layout
from pack.training.lora.keys import COGVIDEOX, WAN

TABLES = {"Wan": WAN, "CogVideoX": COGVIDEOX}
NAMES = list(PAIRS)
STRENGTH = 0.75


def wan_i2v() -> tuple[nn.Module, nn.Module]:
    """The host's and diffusers' image-to-video networks."""
    config = {**tiny_wan.CONFIG, "in_dim": 36, "out_dim": 16, "model_type": "i2v", "cross_attn_norm": True}
    ours = WanModel(operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **config)
    theirs = PAIRS["Wan 2.1"].diffusers(in_channels=36, out_channels=16, image_dim=1280, added_kv_proj_dim=48)
    return ours, theirs


def cogvideox_with_ofs() -> tuple[nn.Module, nn.Module]:
    more = {"patch_size_t": 2, "ofs_embed_dim": 16, "in_channels": 32}
    config = {**files.tiny_cogvideox.CONFIG, **more}
    ours = CogVideoXTransformer3DModel(
        operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **config
    )
    return ours, PAIRS["CogVideoX 1.0"].diffusers(**more)


def both(name: str) -> tuple[nn.Module, nn.Module]:
    return files.shared_model(name).model.diffusion_model, PAIRS[name].diffusers()


NETWORKS: dict[str, tuple[str, Callable[[], tuple[nn.Module, nn.Module]]]] = {
    **{name: (PAIRS[name].family, lambda name=name: both(name)) for name in NAMES},
    "Wan 2.1 I2V": ("Wan", wan_i2v),
    "CogVideoX 1.5 I2V": ("CogVideoX", cogvideox_with_ofs),
}


@pytest.mark.parametrize("network", list(NETWORKS))
def test_every_linear_and_convolution_has_one_counterpart_of_the_same_shape(network):
    family, build = NETWORKS[network]
    names = TABLES[family]
    ours, theirs = (files.layers_of(side) for side in build())
    assert {names.to_diffusers(name): shape for name, shape in ours.items()} == theirs
    assert {names.to_host(name): shape for name, shape in theirs.items()} == ours


def test_the_tables_name_no_layer_that_none_of_the_networks_has():
    for family, names in TABLES.items():
        seen = set()
        for kin, build in NETWORKS.values():
            if kin == family:
                seen |= {re.sub(r"blocks\.\d+", "blocks.{}", name) for name in files.layers_of(build()[0])}
        assert seen == {ours for ours, _ in names.layers}


def bare(pairs: Any) -> tuple[dict[str, Tensor], dict[str, str], float]:
    return files.file_tensors(pairs), {"format": "pt"}, 1.0


def peft(pairs: Any) -> tuple[dict[str, Tensor], dict[str, str], float]:
    return files.file_tensors(pairs, "base_model.model.", "default"), {}, 1.0


def with_alphas(pairs: Any) -> tuple[dict[str, Tensor], dict[str, str], float]:
    tensors = files.file_tensors(pairs, "")
    tensors |= {f"{layer}.alpha": torch.tensor(4.5) for layer in pairs}
    config = {"r": RANK, "lora_alpha": 99}
    return tensors, {"lora_adapter_metadata": json.dumps(config)}, 4.5 / RANK


def diffusers(pairs: Any) -> tuple[dict[str, Tensor], dict[str, str], float]:
    settings = {"transformer.r": RANK, "transformer.lora_alpha": 2, "transformer.rank_pattern": {}}
    return files.file_tensors(pairs, "diffusion_model."), {"lora_adapter_metadata": json.dumps(settings)}, 2 / RANK


@pytest.mark.parametrize("style", [files.authors, bare, peft, with_alphas, diffusers], ids=lambda style: style.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_weight_moves_by_strength_alpha_over_rank_b_a(name, style, caplog):
    pairs = files.forged(name, ".*")
    tensors, metadata, scale = style(pairs)
    file = files.save_lora_file(tensors, f"{style.__name__}.safetensors", metadata or None)
    with caplog.at_level(logging.INFO):
        model, _ = files.load(name, file, STRENGTH)
    assert f"{file}: {len(pairs)} of {len(pairs)} layers applied at strength 0.75" in caplog.text
    assert "left out" not in caplog.text
    assert ("hold no alpha" in caplog.text) == (style in (bare, peft))
    files.check_weights(model, files.expected(name, pairs, STRENGTH * scale))
    files.check_weights(files.shared_model(name), files.expected(name, {}, 0.0))


def velocity(name: str, network: Any, of_host: bool) -> Tensor:
    """What the host's or diffusers' network answers to one seeded input."""
    generator = torch.Generator().manual_seed(5)
    x, text = torch.randn(1, 16, 4, 6, 4, generator=generator), torch.randn(1, 5, 32, generator=generator)
    time = torch.tensor([700.0])
    with torch.inference_mode():
        if of_host:
            return network(x, time, context=text, transformer_options={})
        if PAIRS[name].family == "Wan":
            return network(x, time, text, return_dict=False)[0]
        ours = files.shared_model(name).model.diffusion_model
        turned = rope(64, 4 // (ours.patch_size_t or 1), 3, 2, ours.patch_size_t)
        video = network(x.transpose(1, 2), text, time, image_rotary_emb=turned, return_dict=False)[0]
        return video.transpose(1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_patched_network_answers_as_diffusers_with_the_lora_in_it(name):
    pair, names = PAIRS[name], TABLES[PAIRS[name].family]
    pairs = files.forged(name, ".*")
    file = files.save_lora_file(files.file_tensors(pairs), "answers.safetensors")
    weights = files.diffusers_weights(files.weights_of(files.shared_model(name)), pair, names.to_diffusers)
    network = pair.diffusers()
    network.load_state_dict(weights)
    base = velocity(name, network.eval(), of_host=False)
    layers = dict(network.named_modules())
    for layer, matrices in pairs.items():  # by diffusers' names alone: the table has no part in it
        layers[layer].weight.data += STRENGTH * files.product(*matrices)
    wanted = velocity(name, network, of_host=False)
    model, _ = files.load(name, file, STRENGTH)
    files.weights_of(model)  # loads it
    found = velocity(name, model.model.diffusion_model, of_host=True)
    assert (wanted - base).abs().mean() > 0.1 * base.abs().mean()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_sampling_moves_and_the_model_that_was_given_does_not(name):
    file = files.save_lora_file(files.file_tensors(files.forged(name)), "moves.safetensors")
    start = tiny.scene(Layout.linear(1, 1, 2))
    base = files.shared_model(name)
    zero, _ = files.load(name, file, 0.0)
    before = tiny.sample(zero, start)  # as the base, with the repaired sampling of CogVideoX
    after = tiny.sample(files.load(name, file)[0], start)
    assert after.isfinite().all()
    assert (after - before).abs().mean() > 1e-3
    assert torch.equal(tiny.sample(zero, start), before)
    assert not base.patches
    assert not base.object_patches
    assert ("model_sampling" in zero.object_patches) == (PAIRS[name].family == "CogVideoX")
