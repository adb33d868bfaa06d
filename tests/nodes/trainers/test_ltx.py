"""LTX networks: a step, its gradients and sampling are diffusers', at any frame rate and with timesteps of frames."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.model_management
import diffusers_ltx
import numpy as np
import published_tic_ft
import pytest
import tiny_families
import tiny_sampling as tiny
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from comfy_extras.nodes_lt import LTXVConcatAVLatent, LTXVConditioning
from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers_networks import with_lora
from tic_ft_runs import train
from tiny_families import LTX, LTX_2, LTX_23, LTXV, Tiny, text_of
from torch import Tensor

import nodes as host_nodes
from pack.methods.tic_ft import Layout
from pack.nodes.host.layers.in_place import Tokens
from pack.nodes.host.model.encoders import text_encoder
from pack.nodes.host.model.families import text_width
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.host.session.session import training_session
from pack.nodes.host.trainers.tic_ft import make_objective
from pack.training.core.batches import StepGenerators
from pack.training.core.config import CHECKPOINTING, TrainConfig
from pack.training.tic_ft.recipe import TicftRecipe

EVERY = pytest.mark.parametrize("family", LTX, ids=lambda family: family.name)
LAYOUT, LEVELS = Layout.linear(1, 3, 2), (0.0, 0.25, 0.5, 0.75)  # of the condition and the buffers
FRAME_RATE = 16.0  # of the clips, not the host's 25


def pairs(family: Tiny, **more: Any) -> Any:
    text = text_of(family)
    sizes = {"width": 32, "height": 32, "channels": 128, "frames": 16, "compression": 8}
    return encoded_pairs(**{**sizes, "text": text, **more})


def step(family: Tiny, config: TrainConfig) -> dict[str, Any]:
    """Loss and gradients of a step with adapters that add something, and all that went into it."""
    video = video_model(tiny_families.fresh_model_of(family.name))
    recipe = TicftRecipe("image to video", LAYOUT, False, 8, 128)
    with torch.inference_mode(), training_session(video, config) as session:
        objective = make_objective(video, pairs(family, clips=2), recipe, config)
        generator = torch.Generator().manual_seed(7)
        for parameter in session.trained.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        batch = objective.batch(range(config.batch_size), StepGenerators.at(0, 0))
        loss = objective.loss(session.predict, batch).per_sample
        loss.mean().backward()
        gradients = {
            f"diffusion_model.{name}.{part}.weight": getattr(adapter, part).grad.clone()
            for name, adapter in session.trained.by_name.items()
            for part in ("lora_up", "lora_down")
        }
        found = {"batch": batch, "loss": loss.detach(), "gradients": gradients, "lora": session.trained.tensors()}
    return {**found, "weights": tiny_wan.weights_of(video.model)}


def expected_step(family: Tiny, ours: dict[str, Any], per_frame: bool, frame_rate: float = FRAME_RATE) -> Any:
    """The same by diffusers' network and autograd, from the paper's definitions: losses and gradients."""
    batch, lora = ours["batch"], {name: value.clone().requires_grad_() for name, value in ours["lora"].items()}
    network = diffusers_ltx.OF[family.name](with_lora(ours["weights"], lora), frame_rate)
    losses = []
    for i, sigma in enumerate(batch.sigma.tolist()):
        levels = torch.tensor([min(sigma, level) for level in LEVELS] + [sigma] * LAYOUT.target)
        s = levels.view(1, 1, -1, 1, 1)
        x0, noise = batch.x0[i : i + 1], batch.noise[i : i + 1]
        time = levels[None].repeat_interleave(x0.shape[3] * x0.shape[4], 1) if per_frame else torch.tensor([sigma])
        caption = batch.conditioning[i]
        mask = (caption["attention_mask"][None],) if "attention_mask" in family.extra else ()
        answer = network((1 - s) * x0 + s * noise, time * 1000, caption["cross_attn"][None], *mask)
        losses.append((answer - (noise - x0))[:, :, LAYOUT.prefix :].square().mean())
    torch.stack(losses).mean().backward()
    return torch.stack(losses).detach(), lora


@pytest.mark.parametrize("per_frame", [False, True], ids=["one timestep", "one per frame"])
@EVERY
def test_loss_and_gradients_of_a_step_are_those_of_diffusers(family, per_frame):
    config = TrainConfig(rank=4, batch_size=2, per_frame_timesteps=per_frame)
    ours = step(family, config)
    loss, lora = expected_step(family, ours, per_frame)
    torch.testing.assert_close(ours["loss"], loss, rtol=1e-5, atol=0)
    assert len(ours["gradients"]) == 32
    for name, gradient in ours["gradients"].items():
        assert gradient.any()
        # In the norms of LTX-2's queries and keys diffusers adds 1e-6 and the host 1e-5, as both do in LTXV's.
        most = 1e-4 if family is LTXV else 1e-3
        assert (gradient - lora[name].grad).norm() <= most * lora[name].grad.norm(), name
    whole, theirs = (
        torch.cat([found[name].flatten() for name in ours["gradients"]])
        for found in (ours["gradients"], {name: value.grad for name, value in lora.items()})
    )
    assert (whole - theirs).norm() <= 1e-4 * theirs.norm()
    other, name = expected_step(family, ours, per_frame, 25.0)[1], "diffusion_model.transformer_blocks.0.attn1.to_q"
    query = other[f"{name}.lora_up.weight"].grad
    assert (ours["gradients"][f"{name}.lora_up.weight"] - query).norm() > 1e-2 * query.norm()


@pytest.mark.parametrize("mode", CHECKPOINTING[1:])
@EVERY
def test_blocks_computed_again_give_the_same_bytes(family, mode):
    plain, again = (step(family, TrainConfig(rank=4, batch_size=2, checkpointing=m)) for m in (CHECKPOINTING[0], mode))
    assert torch.equal(plain["loss"], again["loss"])
    assert all(torch.equal(plain["gradients"][name], again["gradients"][name]) for name in plain["gradients"])


@EVERY
def test_sampling_is_the_published_algorithm_with_diffusers_network(family):
    base, layout, steps = tiny_families.model_of(family.name), Layout(1, 3, 2, LEVELS[1:]), 8
    model = ModelSamplingAuraFlow().patch_aura(base, 1.0)[0]
    prompts = LTXVConditioning.execute(family.conditioning(1), family.conditioning(2), 30.0).args
    start = tiny.scene(layout, model=model, prompts=prompts)
    output = tiny.sample(Context(layout, start.x0).put_on(model), start, steps=steps, cfg=3.0)
    network = diffusers_ltx.of(family.name, tiny_wan.weights_of(base), 30.0)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        positive, negative = (network(x, t, prompt[0][0]) for prompt in prompts)
        return negative + 3.0 * (positive - negative)

    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps).tolist())
    with torch.no_grad():
        expected = published_tic_ft.sample(guided, scheduler, start.clean, start.noise, [250.0, 500.0, 750.0])
    expected = base.model.process_latent_out(expected)
    assert (output - expected).abs().max() <= 1e-4 * expected.abs().max()


@EVERY
def test_sampling_gives_every_token_the_level_of_its_frame(family):
    model = tiny_families.model_of(family.name)
    prompts = (family.conditioning(1), family.conditioning(2))
    start = tiny.scene(LAYOUT, 2, model=model, prompts=prompts)
    framed, calls = tiny.record(Context(LAYOUT, start.x0, per_frame_timesteps=True).put_on(model))
    output = tiny.sample(framed, start, cfg=2.0)
    for call in calls:
        expected = LAYOUT.max_sigmas().clamp(max=call.sigma).repeat_interleave(tiny.SIZE**2)
        assert call.timestep.shape == (4, LAYOUT.frames * tiny.SIZE**2)  # two videos, two prompts
        assert torch.allclose(call.timestep, expected.expand(4, -1), atol=1e-5)
    plain = Context(LAYOUT, start.x0).put_on(model)
    assert not torch.allclose(tiny.sample(plain, start, cfg=2.0), output, atol=1e-3)


@EVERY
def test_a_lora_says_how_many_frames_a_second_it_was_trained_at(family):
    settings = train(tiny_families.model_of(family.name), f"rate {family.name}", encoded=pairs(family), steps=1)[4]
    assert settings["fps"] == FRAME_RATE


def test_tokens_are_a_tensor_that_nothing_changes_in_place():
    x, y = torch.rand(2, 3, requires_grad=True), torch.rand(2, 3)
    tokens, before = Tokens(x), x.detach().clone()
    tokens += y
    assert tokens.addcmul_(y, y).sub_(1.0) is tokens
    torch.testing.assert_close(tokens.value, before + y + y * y - 1.0)
    assert torch.equal(x.detach(), before)
    assert tokens.shape == (2, 3)
    assert torch.equal(torch.nn.functional.rms_norm(tokens, (3,)), torch.nn.functional.rms_norm(tokens.value, (3,)))
    assert torch.equal(2.0 * tokens + y, 2.0 * tokens.value + y)


def test_the_hosts_blocks_are_its_own_again_afterwards():
    model = tiny_families.model_of("LTXV")
    blocks = model.model.diffusion_model.transformer_blocks
    comfy.model_management.unload_all_models()
    before = [vars(block).get("forward") for block in blocks]  # the host leaves a block's own one there after a patch
    with torch.inference_mode(), training_session(video_model(model), TrainConfig(rank=2)):
        assert any(part._forward_pre_hooks for block in blocks for part in block.children())
    comfy.model_management.unload_all_models()
    assert [vars(block).get("forward") for block in blocks] == before
    assert not any(part._forward_pre_hooks for block in blocks for part in block.children())


@pytest.mark.parametrize(("family", "width"), [(LTXV, 32), (LTX_2, 32), (LTX_23, 24 + 8)], ids=lambda v: str(v)[:20])
def test_a_text_encoder_of_another_model_is_refused_before_a_clip_is_encoded(family, width):
    model = tiny_families.model_of(family.name)
    assert text_width(model, family.name).channels == width
    narrow = pairs(family, text=lambda _caption: {"cross_attn": torch.zeros(4, 16)})
    narrow.encode_video = None  # would fail
    with pytest.raises(ValueError, match=rf"gives 16 channels a token, {family.name} takes {width}; load the CLIP"):
        train(model, f"narrow {family.name}", encoded=narrow, steps=1)


def test_a_latent_with_sound_in_it_is_refused_by_the_sampler():
    model = tiny_families.model_of("LTX-2")
    start = tiny.scene(LAYOUT, model=model, prompts=(LTX_2.conditioning(1), LTX_2.conditioning(2)))
    ready = Context(LAYOUT, start.x0).put_on(model)
    video, sound = {"samples": start.latent}, {"samples": torch.zeros(1, 8, 6, 16)}
    (both,) = LTXVConcatAVLatent.execute(video, sound).args
    with pytest.raises(ValueError, match=r"^the sampler got a latent of several streams, such as video and sound; TIC"):
        host_nodes.common_ksampler(ready, 1, 2, 1.0, "euler", "simple", *start.prompts, both)


def test_the_flag_of_a_text_for_the_connectors_is_kept_as_a_tensor():
    clip = SimpleNamespace(
        tokenize=lambda text: text,
        encode_from_tokens_scheduled=lambda _tokens, **_options: [
            (torch.zeros(1, 4, 32), {"pooled_output": None, "unprocessed_ltxav_embeds": True})
        ],
    )
    found = text_encoder(clip)("a dog")
    assert found["cross_attn"].shape == (4, 32)
    assert found["unprocessed_ltxav_embeds"].item() is True
