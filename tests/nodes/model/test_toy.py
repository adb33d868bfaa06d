"""The toy nodes give genuine host objects: stock nodes take them, and they show what they are asked for."""

from __future__ import annotations

import comfy.model_base
import comfy.sd
import numpy as np
import pytest
import torch

import nodes as host_nodes
from pack.nodes import toy
from pack.toy import clips, judge, weights, world

LIMIT = 40_000_000  # bytes, all toy weights of the project together: two video bases


@pytest.fixture(scope="module")
def loaded():
    with torch.inference_mode():
        return toy.FewShotToyVideoModel.execute().result


@pytest.fixture(scope="module")
def sampled(loaded):
    """Four held-out prompts through the stock nodes, as clips."""
    model, clip, vae = loaded
    rng = np.random.default_rng(11)
    scenes = [world.sample_scene(rng, held_out=True) for _ in range(4)]
    with torch.inference_mode():
        return scenes, [_sample(model, clip, vae, scene.caption(), 49) for scene in scenes]


def _sample(model, clip, vae, text, frames, seed=0):
    positive, negative = (host_nodes.CLIPTextEncode().encode(clip, t)[0] for t in (text, ""))
    latent = {"samples": torch.zeros(1, 16, (frames + 3) // 4, 8, 8)}
    out = host_nodes.common_ksampler(model, seed, 20, 2.0, "euler", "simple", positive, negative, latent)[0]
    return host_nodes.VAEDecode().decode(vae, out)[0].numpy()


def test_the_outputs_are_the_hosts_own_classes(loaded):
    model, clip, vae = loaded
    assert type(model.model) is comfy.model_base.WAN21
    assert isinstance(clip, comfy.sd.CLIP)
    assert isinstance(vae, comfy.sd.VAE)
    assert vae.temporal_compression_decode() == 4
    assert vae.latent_channels == 16


def test_all_weights_together_are_small_and_no_pickle():
    files = [path for path in weights.FOLDER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors"}
    assert sum(path.stat().st_size for path in files) <= LIMIT
    assert sum(tensor.numel() for tensor in weights.read(weights.BASE)[0].values()) <= 8_000_000


def test_the_fine_model_is_the_same_network_with_tokens_a_quarter_as_large(loaded):
    with torch.inference_mode():
        model, clip, vae = toy.FewShotToyVideoModel.execute(detail="fine").result
    fine, coarse = model.model.diffusion_model, loaded[0].model.diffusion_model
    assert (tuple(fine.patch_size), tuple(coarse.patch_size)) == ((1, 1, 1), (1, 2, 2))
    assert len(fine.blocks) == len(coarse.blocks)
    assert type(model.model) is comfy.model_base.WAN21
    assert model.get_model_object("model_sampling").shift == weights.SHIFT
    assert (type(clip), type(vae)) == (type(loaded[1]), type(loaded[2]))


def test_the_vae_keeps_clips_of_the_world(loaded):
    vae = loaded[2]
    rng = np.random.default_rng(3)
    scenes = [world.sample_scene(rng) for _ in range(4)]
    with torch.inference_mode():
        for scene in scenes:
            clip = torch.from_numpy(world.render(scene, 49))
            latents = vae.encode(clip)
            assert latents.shape == (1, 16, 13, 8, 8)
            again = vae.decode(latents)[0]
            assert 10 * torch.log10(1 / (again - clip).square().mean()) > 25
            assert judge.judge(again.numpy(), scene).all_right == 1


def test_latents_of_the_world_have_unit_scale_in_the_models_space(loaded):
    model, _, vae = loaded
    rng = np.random.default_rng(4)
    clips_ = [torch.from_numpy(world.render(world.sample_scene(rng), 25)) for _ in range(8)]
    with torch.inference_mode():
        latents = torch.cat([model.model.process_latent_in(vae.encode(clip)) for clip in clips_])
    assert latents.mean().abs() < 0.15
    assert 0.8 < latents.std() < 1.2


def test_a_start_of_a_clip_has_the_latents_of_the_start(loaded):
    clip = torch.from_numpy(world.render(world.Scene("disc", "red", "black", "slides up slowly"), 25))
    with torch.inference_mode():
        whole, part = loaded[2].encode(clip), loaded[2].encode(clip[:13])
    torch.testing.assert_close(whole[:, :, :4], part, atol=1e-4, rtol=0)


@pytest.mark.parametrize("text", ["", "a red disc stays still", "zxqv flibber [CONDITION] 東京 " * 30])
def test_any_text_encodes_to_finite_conditioning(loaded, text):
    with torch.inference_mode():
        conditioning = host_nodes.CLIPTextEncode().encode(loaded[1], text)[0]
    assert torch.isfinite(conditioning[0][0]).all()
    assert conditioning[0][0].shape[-1] == 64


def test_the_base_follows_held_out_prompts(sampled):
    scenes, videos = sampled
    verdicts = [judge.judge(video, scene) for scene, video in zip(scenes, videos, strict=True)]
    assert videos[0].shape == (49, 64, 64, 3)
    assert np.mean([v.colour for v in verdicts]) >= 0.75
    assert np.mean([v.background for v in verdicts]) >= 0.75
    assert np.mean([v.motion for v in verdicts]) >= 0.5


def test_the_stock_lora_loader_patches_the_toy_model(loaded):
    up, down = torch.randn(256, 4), torch.randn(4, 256)
    key = "diffusion_model.blocks.0.self_attn.q"
    lora = {f"{key}.lora_up.weight": up, f"{key}.lora_down.weight": down, f"{key}.alpha": torch.tensor(4.0)}
    with torch.inference_mode():
        patched, _ = comfy.sd.load_lora_for_models(loaded[0], None, lora, 1.0, 0.0)
    assert len(patched.patches) == 1


def test_the_stock_trainer_takes_the_toy_model(loaded):
    from comfy_extras.nodes_train import TrainLoraNode

    model, clip, vae = loaded
    dataset = toy.FewShotToyClips.execute("one clip", 1, 0).result[0]
    with torch.inference_mode():
        positive = host_nodes.CLIPTextEncode().encode(clip, dataset[0].caption)[0]
        latents = {"samples": vae.encode(dataset[0].target.frames()[:5])}
        inputs = {entry.id: getattr(entry, "default", None) for entry in TrainLoraNode.GET_SCHEMA().inputs}
        inputs |= {"model": model, "latents": latents, "positive": positive, "steps": 2, "existing_lora": "[None]"}
        result = TrainLoraNode.execute(**{name: [value] for name, value in inputs.items()}).result
    assert len(result[1]["loss"]) == 2
    assert all(np.isfinite(result[1]["loss"]))


def test_toy_clips_are_a_data_set_of_the_asked_kind():
    dataset = toy.FewShotToyClips.execute("action transfer", 3, 0, "held out").result[0]
    assert len(dataset) == 3
    assert (dataset.width, dataset.height, dataset.fps) == (64, 64, 12.0)
    assert len(dataset[0].conditions) == 2
    assert dataset[0].target.frames().shape == (24, 64, 64, 3)
    assert "3 toy clips" in dataset.report


def test_the_combo_offers_every_kind():
    schema = toy.FewShotToyClips.GET_SCHEMA()
    assert schema.inputs[0].options == list(clips.KINDS)
