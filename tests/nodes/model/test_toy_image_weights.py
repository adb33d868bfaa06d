"""The weights of the toy image model that come with the pack: small, and good enough to be edited."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nodes as host_nodes
from pack.nodes import toy
from pack.toy import judge, pictures, weights, world
from pack.toy.pretrain.image_base_training import picture_of

IMAGE_LIMIT, LIMIT = 8_000_000, 40_000_000  # bytes of the image model, and of all toy weights together


@pytest.fixture(scope="module")
def loaded():
    with torch.inference_mode():
        return toy.FewShotToyImageModel.execute().result


@pytest.fixture(scope="module")
def sampled(loaded):
    """Every held-out object once, through the stock nodes."""
    scenes = pictures.held_out_pictures(12, 0)
    with torch.inference_mode():
        return scenes, [sample(loaded, pictures.caption_of(scene), i) for i, scene in enumerate(scenes)]


def sample(loaded, text, seed):
    model, clip, vae = loaded
    positive, negative = (host_nodes.CLIPTextEncode().encode(clip, t)[0] for t in (text, ""))
    latent = host_nodes.EmptyLatentImage().generate(64, 64)[0]
    out = host_nodes.common_ksampler(model, seed, 20, 3.0, "euler", "normal", positive, negative, latent)[0]
    return host_nodes.VAEDecode().decode(vae, out)[0][0].numpy()


def test_the_weights_stay_within_their_share():
    assert sum(path.stat().st_size for path in (weights.IMAGE_BASE, weights.IMAGE_VAE)) <= IMAGE_LIMIT
    assert sum(path.stat().st_size for path in weights.FOLDER.rglob("*") if path.is_file()) <= LIMIT


def test_latents_of_the_world_have_unit_scale_in_the_models_space(loaded):
    frames = torch.cat([torch.from_numpy(world.render(picture_of(i, 5)[0], 1)) for i in range(96)])
    with torch.inference_mode():
        latents = loaded[0].model.process_latent_in(loaded[2].encode(frames))
    assert latents.mean((0, 2, 3)).abs().max() < 0.2
    assert 0.8 < latents.std() < 1.2


def test_the_vae_keeps_pictures_of_the_world(loaded):
    scenes = pictures.held_out_pictures(12, 1)
    frames = torch.cat([torch.from_numpy(world.render(scene, 1)) for scene in scenes])
    with torch.inference_mode():
        again = loaded[2].decode(loaded[2].encode(frames))
    assert (10 * torch.log10(1 / (again - frames).square().mean((1, 2, 3)))).mean() > 30
    assert all(judge.judge_picture(f.numpy(), s).all_right for f, s in zip(again, scenes, strict=True))


def test_the_model_follows_held_out_prompts(sampled):
    scenes, frames = sampled
    verdicts = [judge.judge_picture(frame, scene) for frame, scene in zip(frames, scenes, strict=True)]
    assert frames[0].shape == (64, 64, 3)
    assert np.mean([v.found for v in verdicts]) >= 0.9
    assert np.mean([v.colour for v in verdicts]) >= 0.8
    assert np.mean([v.background for v in verdicts]) >= 0.8
    assert np.mean([v.shape for v in verdicts]) >= 0.7


def test_the_model_draws_blueprints(loaded):
    with torch.inference_mode():
        frames = [sample(loaded, f"a blueprint of a {shape}", i) for i, shape in enumerate(world.SHAPES)]
    assert sum(judge.name_look(frame) == "blueprint" for frame in frames) >= 3
