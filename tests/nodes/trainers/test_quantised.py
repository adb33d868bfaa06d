"""Quantised models: told apart like others, and refused where the host cannot change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.sd
import packed_layers
import pytest
import tiny_sampling
import tiny_wan
import torch
from comfy_extras.nodes_train import LoraModelLoader
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tic_ft_runs import train
from torch import Tensor, nn

from pack.methods.tic_ft import Layout
from pack.nodes.host.layers.autograd import gradients, ordinary_weights
from pack.nodes.host.model.encoders import clip_key
from pack.nodes.host.model.fingerprint import model_fingerprint
from pack.nodes.host.sampling.motion import apply_motion
from pack.toy import text

LAYER = "blocks.0.self_attn.q"


def scaled_fp8(state: dict[str, Tensor], *layers: str, scale: float = 0.01) -> dict[str, Tensor]:
    """The state dict with the layers of these names in the host's scaled fp8 layout."""
    state = dict(state)
    conf = list(json.dumps({"format": "float8_e4m3fn"}).encode())
    for name in [name for name in state if name.endswith(tuple(f".{layer}.weight" for layer in layers))]:
        layer = name.removesuffix(".weight")
        state[name] = (state[name] / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
        state[f"{layer}.weight_scale"] = torch.tensor(scale)
        state[f"{layer}.comfy_quant"] = torch.tensor(conf, dtype=torch.uint8)
    return state


def fp8_clip(seed: int = text.SEED, scale: float = 0.01) -> Any:
    state = scaled_fp8(text.clip_state_dict(seed), "q_proj", "fc1", scale=scale)
    options = {"model_config": dict(text.CONFIG), "quantization_metadata": {"mixed_ops": True}}
    with torch.inference_mode():
        return comfy.sd.load_text_encoder_state_dicts([state], clip_type=comfy.sd.CLIPType.WAN, model_options=options)


def fp8_wan(folder: Path, name: str = "fp8", scale: float = 0.01, seed: int = 0) -> Any:
    plain = tiny_wan.save_tiny_wan(folder / f"{name}_plain.safetensors", seed)
    with safe_open(plain, framework="pt") as file:
        metadata = file.metadata()
    path = folder / f"{name}.safetensors"
    save_file(scaled_fp8(load_file(plain), *"qkvo", scale=scale), path, metadata=metadata)
    return tiny_wan.load_tiny_wan(path)


def quantised(network: nn.Module) -> list[str]:
    return [name for name, weight in network.named_parameters() if hasattr(weight, "_qdata")]


def test_the_key_of_a_quantised_clip_follows_weights_scales_and_loras():
    clip = fp8_clip()
    assert quantised(clip.cond_stage_model)
    assert clip_key(clip) == clip_key(fp8_clip())
    assert clip_key(clip) != clip_key(fp8_clip(seed=1))
    assert clip_key(clip) != clip_key(fp8_clip(scale=0.02))
    name = next(n for n in quantised(clip.cond_stage_model) if n.endswith("q_proj.weight"))
    before, patched = clip_key(clip), clip.clone()
    patched.add_patches({name: ("diff", (torch.ones(text.WIDTH, text.WIDTH),))})
    with torch.inference_mode():
        patched.encode_from_tokens_scheduled(patched.tokenize("a cat"))
    assert patched.patcher.backup  # the LoRA is merged into the shared weights now
    assert clip_key(clip) == before
    assert clip_key(patched) != before


def test_the_fingerprint_of_a_quantised_model_follows_weights_and_scales(tmp_path):
    model = fp8_wan(tmp_path)
    assert f"{LAYER}.weight" in quantised(model.model.diffusion_model)
    assert model_fingerprint(model) == model_fingerprint(fp8_wan(tmp_path, "same"))
    assert model_fingerprint(model) != model_fingerprint(fp8_wan(tmp_path, "scale", scale=0.02))
    assert model_fingerprint(model) != model_fingerprint(fp8_wan(tmp_path, "seed", seed=1))


def test_of_the_attention_only_the_projections_are_quantised(tmp_path):
    found = {name.rsplit(".", 2)[1] for name in quantised(fp8_wan(tmp_path).model.diffusion_model)}
    assert found == set("qkvo")


def test_weights_that_no_hook_can_change_take_no_lora_for_a_part_of_the_sampling(tmp_path):
    layer = f"diffusion_model.{LAYER}"
    lora = {f"{layer}.lora_up.weight": torch.ones(48, 1), f"{layer}.lora_down.weight": torch.ones(1, 48)}
    (tmp_path / "packed").mkdir()
    for model, kind in (
        (fp8_wan(tmp_path), "scaled fp8"),
        (packed_layers.load(tmp_path / "packed"), "packed by another"),
    ):
        with pytest.raises(ValueError, match=rf"weights are {kind}.*load the fp16 or bf16 file, or put the LoRA on"):
            apply_motion(model, lora, 1.0, 0.0, 0.5)
        assert apply_motion(model, lora, 0.0, 0.0, 0.5).model is model.model
    plain = packed_layers.load(tmp_path / "packed", unpacked=True)
    assert apply_motion(plain, lora, 1.0, 0.0, 0.5).hook_patches


def test_a_quantised_weight_comes_back_after_a_run(tmp_path):
    network = fp8_wan(tmp_path).model.diffusion_model
    before = dict(network.named_parameters())
    assert before[f"{LAYER}.weight"].is_inference()
    with gradients(), ordinary_weights(network):
        assert network.get_parameter(f"{LAYER}.weight") is not before[f"{LAYER}.weight"]
    assert all(value is before[name] for name, value in network.named_parameters())


def test_a_quantised_model_takes_its_lora_and_gives_it_back_after_a_training_on_it(tmp_path):
    """The host moves its weights in inference mode, and would stumble over what was loaded outside it."""
    model = fp8_wan(tmp_path)
    lora = train(model, "on fp8", steps=2)[0]
    with torch.inference_mode():
        tuned = LoraModelLoader.execute(model, lora, 1.0).result[0]
        start = tiny_sampling.scene(Layout(0, 0, 3), model=model)
        before = tiny_sampling.sample(model, start)
        assert not torch.equal(tiny_sampling.sample(tuned, start), before)
        assert torch.equal(tiny_sampling.sample(model, start), before)
