"""The toy image model is of the host's own classes: whatever works on Stable Diffusion 1.x works on it."""

from __future__ import annotations

import comfy.model_base
import comfy.sd
import fresh_toy_image
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.attention import BasicTransformerBlock
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_sampling import EPS, ModelSamplingDiscrete
from safetensors.torch import load_file, save_file

import nodes as host_nodes
from pack.nodes import toy
from pack.nodes.host.model import toy_image
from pack.nodes.host.model.image_model import base_of
from pack.nodes.host.tune_a_video import inflation
from pack.toy import image_model, pictures, weights, world


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    unet, vae = fresh_toy_image.write(tmp_path_factory.mktemp("toy image"))
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(weights, "IMAGE_BASE", unet)
        patch.setattr(weights, "IMAGE_VAE", vae)
        yield toy.FewShotToyImageModel.execute().result


def sample(model, clip, latent, seed=0, text="a red disc on a grey background", steps=3):
    with torch.inference_mode():
        positive, negative = (host_nodes.CLIPTextEncode().encode(clip, t)[0] for t in (text, ""))
        args = (model, seed, steps, 3.0, "euler", "normal", positive, negative, latent)
        return host_nodes.common_ksampler(*args)[0]["samples"].clone()


def empty_latent(count=1):
    return host_nodes.EmptyLatentImage().generate(64, 64, count)[0]


def frames_of(count):
    scenes = [pictures.held_out_pictures(count, 0)[i] for i in range(count)]
    return torch.cat([torch.from_numpy(world.render(scene, 1)) for scene in scenes])


def test_the_outputs_are_the_hosts_own_classes(loaded):
    model, clip, vae = loaded
    assert type(model.model) is comfy.model_base.BaseModel
    assert type(model.model.diffusion_model) is UNetModel
    assert type(model.model.model_config).__name__ == "SD15"
    assert isinstance(clip, comfy.sd.CLIP)
    assert isinstance(vae, comfy.sd.VAE)
    assert type(vae.first_stage_model) is AutoencoderKL


def test_it_predicts_noise_with_the_schedule_of_stable_diffusion(loaded):
    sampling = loaded[0].get_model_object("model_sampling")
    assert isinstance(sampling, EPS)
    assert isinstance(sampling, ModelSamplingDiscrete)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = (1 - betas).cumprod(0)
    torch.testing.assert_close(sampling.sigmas.double(), ((1 - alphas) / alphas).sqrt(), rtol=1e-5, atol=0)


def test_it_has_attention_on_more_than_one_grid(loaded):
    depths = [
        sum(isinstance(module, BasicTransformerBlock) for module in block.modules())
        for block in loaded[0].model.diffusion_model.input_blocks
    ]
    assert depths == [0, 0, 0, 1, 0, 1]  # 8 x 8 and 4 x 4 latents


def test_the_latent_format_is_that_of_stable_diffusion_with_its_own_stride(loaded):
    model, _, vae = loaded
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.model.process_latent_in(latents), image_model.SCALE * latents)
    assert vae.spacial_compression_encode() == vae.spacial_compression_decode() == image_model.STRIDE
    assert vae.latent_channels == 4


def test_an_empty_latent_image_gets_the_size_it_asks_for(loaded):
    model, clip, vae = loaded
    out = sample(model, clip, empty_latent(2))
    assert out.shape == (2, 4, 16, 16)
    with torch.inference_mode():
        assert host_nodes.VAEDecode().decode(vae, {"samples": out})[0].shape == (2, 64, 64, 3)


def test_a_picture_comes_back_from_the_vae_with_its_size_and_colours(loaded):
    vae, frames = loaded[2], frames_of(3)
    with torch.inference_mode():
        latents = host_nodes.VAEEncode().encode(vae, frames)[0]["samples"]
        again = host_nodes.VAEDecode().decode(vae, {"samples": latents})[0]
    assert latents.shape == (3, 4, 16, 16)
    assert again.shape == frames.shape
    assert 10 * torch.log10(1 / (again - frames).square().mean()) > 20  # untrained: pooling


def test_sampling_is_deterministic_and_depends_on_seed_and_text(loaded):
    model, clip, _ = loaded
    first = sample(model, clip, empty_latent())
    assert torch.equal(first, sample(model, clip, empty_latent()))
    assert not torch.equal(first, sample(model, clip, empty_latent(), seed=1))
    assert not torch.equal(first, sample(model, clip, empty_latent(), text="a blue ring"))


def test_loading_it_twice_gives_the_same_numbers(loaded, monkeypatch, tmp_path):
    unet, vae = fresh_toy_image.write(tmp_path)
    monkeypatch.setattr(weights, "IMAGE_BASE", unet)
    monkeypatch.setattr(weights, "IMAGE_VAE", vae)
    again = toy_image.load_image_model()
    assert torch.equal(
        sample(loaded[0], loaded[1], empty_latent()), sample(again, toy_image.load_image_clip(), empty_latent())
    )


def test_the_stock_lora_loader_patches_model_and_text_encoder(loaded, host_base):
    model, clip, _ = loaded
    generator = torch.Generator().manual_seed(0)
    lora = {}
    for key in (
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
    ):
        lora |= {
            f"{key}.lora_up.weight": torch.randn(64, 2, generator=generator),
            f"{key}.lora_down.weight": torch.randn(2, 64, generator=generator),
        }
    save_file(lora, host_base / "models" / "loras" / "toy_image.safetensors")
    with torch.inference_mode():
        patched, patched_clip = host_nodes.LoraLoader().load_lora(model, clip, "toy_image.safetensors", 1.0, 1.0)
    assert list(patched.patches) == ["diffusion_model.input_blocks.3.1.transformer_blocks.0.attn1.to_q.weight"]
    assert len(patched_clip.patcher.patches) == 1
    assert not torch.equal(sample(patched, patched_clip, empty_latent()), sample(model, clip, empty_latent()))


def test_the_stock_trainer_takes_it(loaded):
    from comfy_extras.nodes_train import TrainLoraNode

    model, clip, vae = loaded
    with torch.inference_mode():
        positive = host_nodes.CLIPTextEncode().encode(clip, "a red disc")[0]
        latents = {"samples": vae.encode(frames_of(1))}
        inputs = {entry.id: getattr(entry, "default", None) for entry in TrainLoraNode.GET_SCHEMA().inputs}
        inputs |= {"model": model, "latents": latents, "positive": positive, "steps": 2, "existing_lora": "[None]"}
        result = TrainLoraNode.execute(**{name: [value] for name, value in inputs.items()}).result
    assert len(result[1]["loss"]) == 2
    assert all(torch.isfinite(torch.tensor(result[1]["loss"])))


def test_inflated_it_shows_identical_frames_as_the_image_model_does(loaded):
    model, clip, _ = loaded
    assert base_of(model) == "Stable Diffusion 1.x, noise prediction"
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)).repeat(4, 1, 1, 1)
    differing = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        text = host_nodes.CLIPTextEncode().encode(clip, "a red disc")[0]
        answers = {}
        for name, version in (("image", model), ("clip", inflation.inflate(model))):
            for kind, start in (("same", noise), ("differing", differing)):
                answers[name, kind] = comfy.sample.sample(
                    version, start.clone(), 3, 1.0, "euler", "normal", text, text, torch.zeros_like(start),
                    disable_pbar=True, seed=0,
                )  # fmt: skip
    scale = answers["image", "same"].abs().max()
    assert (answers["clip", "same"] - answers["image", "same"]).abs().max() < 1e-5 * scale
    assert (answers["clip", "differing"] - answers["image", "differing"]).abs().max() > 1e-3 * scale


@pytest.mark.parametrize(("name", "load"), [("IMAGE_BASE", "load_image_model"), ("IMAGE_VAE", "load_image_vae")])
def test_a_file_with_gaps_or_no_file_is_refused(name, load, monkeypatch, tmp_path):
    unet, vae = fresh_toy_image.write(tmp_path)
    path = {"IMAGE_BASE": unet, "IMAGE_VAE": vae}[name]
    state = load_file(path)
    state.pop(next(iter(state)))
    broken = tmp_path / "broken.safetensors"
    save_file(state, broken)
    monkeypatch.setattr(weights, name, broken)
    with pytest.raises(RuntimeError, match=r"broken.safetensors lacks 1 weights; install FewShot Video again"):
        getattr(toy_image, load)()
    monkeypatch.setattr(weights, name, tmp_path / "nowhere.safetensors")
    with pytest.raises(RuntimeError, match=r"nowhere.safetensors is missing from the pack"):
        getattr(toy_image, load)()
