"""Wan 2.2 image-to-video: its further input channels hold the known frames, by one rule in training and sampling."""

from __future__ import annotations

from typing import Any

import aicl_runs
import comfy.samplers
import diffusers_networks
import motion_runs
import numpy as np
import published_tic_ft
import pytest
import tic_ft_runs
import tiny_families
import tiny_sampling as tiny
import tiny_vision
import tiny_wan
import torch
from clip_pairs import TEXT_DIM, encoded_pairs, fake_vae
from comfy_extras.nodes_wan import WanFirstLastFrameToVideo, WanImageToVideo
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.models import AutoencoderKLWan
from step_apart import step_apart
from tiny_families import Tiny
from tiny_vae import PIXELS, clip, tiny_vae
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.encoders import video_encoder
from pack.nodes.host.model.families import FAMILIES
from pack.nodes.host.model.noise import loaded_model
from pack.nodes.host.model.vision import vision_encoder
from pack.nodes.tic_ft import TICFTContext
from pack.training.core.config import TrainConfig
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Sample
from pack.training.data.known_frames import FEATURES, KNOWN, KnownFrames
from pack.training.motion.recipe import MotionRecipe
from pack.training.tic_ft.objective import TicftRecipe

NAME = "Wan 2.2 I2V"
EVERY = pytest.mark.parametrize("family", tiny_families.IMAGE_TO_VIDEO, ids=lambda family: family.name)
CONDITION, BUFFER, TARGET = 1, 3, 2
GREY = 0.5
TEXT_TOKENS = 512  # diffusers' network knows CLIP features from text by this number


def normalised(latents: Tensor) -> Tensor:
    """VAE latents as the published network takes them."""
    config = AutoencoderKLWan(base_dim=8, num_res_blocks=1).config
    mean, std = (torch.tensor(config[key]).view(1, 16, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    return (latents - mean) / std


def long_text(caption: str) -> dict[str, Tensor]:
    """As many random tokens as the published text encoder gives."""
    generator = torch.Generator().manual_seed(len(caption))
    return {"cross_attn": torch.randn(TEXT_TOKENS, TEXT_DIM, generator=generator)}


def with_image(network: Any, known: Tensor, count: int, features: Tensor | None = None) -> Any:
    """A network that is shown a mask, the known frames and CLIP features, as diffusers' pipeline does."""
    mask = torch.zeros(len(known), 4, *known.shape[2:])
    mask[:, :, :count] = 1.0
    image = torch.cat([mask, known], dim=1)

    def answer(xt: Tensor, t: Tensor, text: Tensor) -> Tensor:
        seen = None if features is None else features.expand(len(xt), -1, -1)
        return network(torch.cat([xt, image.expand(len(xt), -1, -1, -1, -1)], dim=1), t, text, seen)

    return answer


def features_of(family: Tiny, frames: Tensor) -> Tensor | None:
    """CLIP features of the first frame, and where the base was trained with a pair, of a grey last one."""
    if family is tiny_families.WAN_22_I2V:
        return None
    pair = family is tiny_families.WAN_21_FLF2V
    return tiny_vision.fake_vision().encode(
        torch.cat([frames[:1], torch.full_like(frames[:1], GREY)]) if pair else frames[:1]
    )


def known_of(family: Tiny) -> KnownFrames:
    (row,) = (row for row in FAMILIES if row.name == family.name)
    return row.known_frames.leading


@pytest.mark.parametrize("steps", [1, 8])
@EVERY
def test_a_training_step_is_that_of_diffusers(family, steps):
    model = tiny_families.fresh_model_of(family.name)
    weights = tiny_wan.weights_of(model)
    config = TrainConfig(rank=4, steps=steps, batch_size=3, learning_rate=0.02, seed=2)
    recipe = TicftRecipe(
        "image to video", Layout.linear(CONDITION, BUFFER, TARGET), channels=16, known=known_of(family)
    )
    with torch.inference_mode():
        ours = step_apart(model, recipe, config, data=encoded_pairs(clips=4, text=long_text))
    batch, x0 = ours["batch"], normalised(ours["latents"])
    images = [sample.conditions[0].frames() for sample in ours["samples"]]
    pixels = [torch.cat([image, torch.full((4 * 5, 16, 16, 3), GREY)]) for image in images]
    known = torch.stack([fake_vae(frames) for frames in pixels])
    known = torch.cat([ours["latents"][:, :, :CONDITION], known[:, :, CONDITION:]], 2)
    found = [features_of(family, image) for image in images]
    features = None if found[0] is None else torch.stack(found)
    assert features is None or torch.equal(ours["features"], features)
    levels = torch.tensor(
        [[0.0] + [min(s, b / 4) for b in (1, 2, 3)] + [s] * TARGET for s in batch.sigma.tolist()]
    ).view(3, 1, -1, 1, 1)
    xt = (1 - levels) * x0 + levels * batch.noise
    torch.testing.assert_close(ours["xt"][:, :16], xt, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours["xt"][:, 20:], normalised(known), rtol=1e-4, atol=1e-5)

    def loss(weights: dict[str, Tensor], image: Tensor, features: Tensor | None = features) -> Tensor:
        network = with_image(diffusers_networks.wan(weights), image, CONDITION, features)
        error = network(xt, batch.sigma * 1000, ours["context"]) - (batch.noise - x0)
        return error[:, :, CONDITION + BUFFER :].square().flatten(1).mean(1)

    trained = diffusers_networks.with_lora(weights, ours["lora"])
    expected = loss(trained, normalised(known))
    torch.testing.assert_close(ours["loss"], expected, rtol=1e-4, atol=0)
    others = [loss(weights, normalised(known)), loss(trained, torch.zeros_like(known))]
    if features is not None:
        others.append(loss(trained, normalised(known), torch.zeros_like(features)))
    for other in others:
        assert ((ours["loss"] - other) / other).abs().max() > 1e-4  # LoRA, known frames and features are part of it


@pytest.mark.parametrize("cfg", [1.0, 5.0])
@EVERY
def test_sampling_is_that_of_diffusers(family, cfg):
    model, vae, image = tiny.with_shift(tiny_families.model_of(family.name), 1.0), tiny_vae(), clip(1, 3)
    prompts = [long_text(words)["cross_attn"][None] for words in ("yes", "no")]
    with torch.inference_mode():
        placed, latent, _ = TICFTContext.execute(
            model, vae, "image to video", PIXELS, PIXELS, 8, condition=image, encoding="joint",
            clip_vision=tiny_vision.tiny_vision(),
        ).result  # fmt: skip
        start = latent["samples"]
        noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(0))
        ours = comfy.sample.sample_custom(
            placed, noise.clone(), cfg, comfy.samplers.sampler_object("euler"), tiny.schedule(model, "simple", 8),
            *([[prompt, {"pooled_output": None, **IMAGE}]] for prompt in prompts),
            start.clone(), disable_pbar=True, seed=0,
        )  # fmt: skip
        grey = torch.full((20, PIXELS, PIXELS, 3), GREY)
        known = normalised(vae.encode(torch.cat([image, grey])).clone())
        pictures = torch.cat([image, grey[:1]])[: 1 + (family is tiny_families.WAN_21_FLF2V)]
        features = (
            tiny_vision.tiny_vision()
            .encode_image(pictures, crop=False)
            .penultimate_hidden_states.flatten(0, 1)[None]
            .clone()
        )
    clean = normalised(start[:, :, : CONDITION + BUFFER].clone())
    network = with_image(
        diffusers_networks.wan(tiny_wan.weights_of(model)), known, CONDITION,
        None if family is tiny_families.WAN_22_I2V else features,
    )  # fmt: skip

    def guided(x: Tensor, t: Tensor) -> Tensor:
        positive, negative = (network(x, t.expand(len(x)), prompt) for prompt in prompts)
        return negative + cfg * (positive - negative)

    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 0.125, 8).tolist())
    expected = published_tic_ft.sample(guided, scheduler, clean, noise, [250.0, 500.0, 750.0])
    expected = model.model.process_latent_out(expected)
    assert float((ours - expected).abs().max() / expected.abs().max()) <= 1e-4
    assert torch.equal(ours[:, :, :CONDITION], start[:, :, :CONDITION])


# Another image in the conditioning, in place of which the context's is given.
IMAGE = {"concat_latent_image": torch.ones(1, 16, 6, 4, 4), "concat_mask": torch.zeros(1, 1, 6, 4, 4)}


@pytest.mark.parametrize("pair", [False, True])
def test_a_clip_of_motion_is_given_its_first_frame_as_the_hosts_node_gives_it(pair):
    """And the last one where the base was trained with both."""
    known = KnownFrames(tiny_vision.CHANNELS, pair=pair, last=pair)
    recipe, sample = MotionRecipe(known=known), Sample(TensorClip(clip(9, 5)), "a clip", ())
    encode, frames = video_encoder(tiny_vae()), sample.target.frames()
    clips = recipe.clips(sample)
    encoded = {name: encode(pixels) for name, pixels in clips.items()}
    vision = vision_encoder(tiny_vision.tiny_vision())
    ours = recipe.assemble({**encoded, FEATURES: vision.encode(known.pictures(clips[KNOWN]))})
    with torch.inference_mode():
        first, last = (
            tiny_vision.tiny_vision().encode_image(frame[None], crop=False) for frame in (frames[0], frames[-1])
        )
        given = (tiny.POSITIVE, tiny.NEGATIVE, tiny_vae(), PIXELS, PIXELS, 9, 1)
        if pair:
            made = WanFirstLastFrameToVideo.execute(
                *given, start_image=frames[:1], end_image=frames[-1:], clip_vision_start_image=first,
                clip_vision_end_image=last,
            )  # fmt: skip
        else:
            made = WanImageToVideo.execute(*given, start_image=frames[:1], clip_vision_output=first)
        theirs = made.result[0][0][1]
    torch.testing.assert_close(ours["known"][None], theirs["concat_latent_image"], rtol=1e-4, atol=1e-4)
    assert torch.equal(ours["unknown"][None].expand_as(theirs["concat_mask"]), theirs["concat_mask"])
    torch.testing.assert_close(ours["features"][None], theirs["clip_vision_output"].penultimate_hidden_states)


def test_motion_is_trained_with_the_first_frame_known_and_looks_with_none(monkeypatch):
    model = tiny_families.model_of(NAME)
    with motion_runs.heard(monkeypatch) as calls:
        out = motion_runs.train(model, "motion of an i2v", settings=TrainConfig(caption_dropout=0.5))
    assert len(out["motion"]) > 0
    masks = {(call["xt"].shape[2], tuple(c["concat_mask"].flatten(1).sum(1).tolist()))
             for call in calls for c in call["conditioning"]}  # fmt: skip
    assert masks == {(1, (16.0,)), (3, (32.0,))}  # 4 x 4 latent pixels of each unknown latent


@pytest.mark.parametrize("family", tiny_families.IMAGE_TO_VIDEO[1:], ids=lambda family: family.name)
def test_clip_features_that_are_missing_or_of_another_model_are_refused_in_one_sentence(family):
    model, data = tiny_families.model_of(family.name), encoded_pairs()
    data.vision = None
    missing = r"takes CLIP features of the first frame besides its latents; connect clip_vision"
    actions = aicl_runs.clips_of(family.name)
    actions.vision = None
    for train, given in ((tic_ft_runs.train, data), (motion_runs.train, data), (aicl_runs.train, actions)):
        with pytest.raises(ValueError, match=missing):
            train(model, "without features", encoded=given)
    with pytest.raises(ValueError, match=missing):
        TICFTContext.execute(model, tiny_vae(), "image to video", PIXELS, PIXELS, 8, condition=clip(1, 3))
    data.vision = tiny_vision.fake_vision(768)
    with pytest.raises(ValueError, match=r"gives 768 channels a token, the network takes 1280; load the one that"):
        tic_ft_runs.train(model, "other features", encoded=data)


def test_what_it_cannot_do_is_refused_before_anything_is_encoded():
    model = tiny_families.model_of(NAME)
    with pytest.raises(ValueError, match=r"^Wan 2\.2 I2V is given the first frame of a clip, .* sparse_latents to 0$"):
        motion_runs.train(model, "sparse", encoded=motion_runs.one_clip(33), sparse_latents=3)


def test_its_low_noise_expert_learns_below_its_own_boundary():
    seen = tic_ft_runs.train(
        tiny_families.model_of(NAME), "i2v experts", encoded=encoded_pairs(), settings=TrainConfig(expert="low noise")
    )
    assert seen[0].metadata["fewshot_video.expert"] == "low noise"


@EVERY
def test_an_action_is_learned_with_the_first_frame_known(family, monkeypatch):
    model = tiny_families.model_of(family.name)
    with motion_runs.heard(monkeypatch) as calls:
        adapter, *_ = aicl_runs.train(
            model, f"action of {family.name}", encoded=aicl_runs.clips_of(family.name), drop_caption=0.5
        )
    given = [conditioning for call in calls for conditioning in call["conditioning"]]
    pair = family is tiny_families.WAN_21_FLF2V
    wanted = [0.0, *([16.0] * 2)] if not pair else [[0.0, 16.0, 16.0]] * 3 + [[0.0, 16.0, 0.0]]
    masks = {repr(one["concat_mask"].flatten(-2).sum(-1).squeeze(0).tolist()) for one in given}
    assert masks == {repr(wanted)}
    assert {"clip_vision_output" in one for one in given} == {family is not tiny_families.WAN_22_I2V}
    assert len({repr(one["cross_attn"][0, :2].tolist()) for one in given}) > 1  # also without a caption
    assert adapter.base_family == "Wan 2.1"  # whose blocks it has, so that it acts in text-to-video, too
    adapter.check_base(loaded_model(tiny_families.model_of("Wan 2.1")))
