"""A step of every trainer with the network on a CUDA device that is only pretended: no tensor is left on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import aicl_runs
import pretended_device
import pytest
import tiny_families
import tiny_unet
import torch
import training_steps
from pretended_device import CARD, pretended_cuda, pretended_host

from pack.nodes.host.model.image_model import trainable_image_model
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.aicl import aicl_session
from pack.nodes.host.session.clip import Form, clip_session
from pack.nodes.host.session.session import training_session
from pack.training.core import step as training_step
from pack.training.core.config import TrainConfig
from pack.training.core.preview import PreviewSettings, preview_latents
from pack.training.core.state import TrainState
from pack.training.core.trainer import Trainer
from pack.training.core.validation import validation_losses
from pack.training.motion.appearance import AppearanceObjective
from pack.training.motion.objective import MotionObjective
from pack.training.tune_a_video.objective import Clips, Prior, TuneAVideoObjective
from pack.training.tune_a_video.recipe import FrameWindow

VIDEO = [tiny.name for tiny in tiny_families.ALL]
BY_FRAME = ("Wan 2.1", "LTXV", "LTX-2")  # networks that take a timestep of each frame
Made = tuple[Any, Any, Callable[..., Any]]  # what the MODEL is, an objective, and how a session is opened


def family(name: str) -> Any:
    (found,) = (tiny for tiny in tiny_families.ALL if tiny.name == name)
    return found


def tic_ft(name: str, config: TrainConfig) -> Made:
    model = video_model(tiny_families.fresh_model_of(name))
    return model, training_steps.objective_of(family(name), config), training_session


def by_frame(name: str, config: TrainConfig) -> Made:
    return tic_ft(name, replace(config, per_frame_timesteps=True))


def motion(name: str, config: TrainConfig) -> Made:
    model, like, opened = tic_ft(name, config)
    return (
        model,
        MotionObjective(like.x0, like.conditioning, like.unconditional, config, model.process, stride=2),
        opened,
    )


def appearance(name: str, config: TrainConfig) -> Made:
    model, like, opened = tic_ft(name, config)
    stills = [clip[:, : family(name).time_patch] for clip in like.x0]
    return model, AppearanceObjective(stills, like.conditioning, like.unconditional, config, model.process), opened


def aicl(name: str, config: TrainConfig) -> Made:
    objective = aicl_runs.objective_of(name, config)
    model = video_model(tiny_families.fresh_model_of(name))
    return model, objective, partial(aicl_session, objective=objective)


def tune_a_video(name: str, config: TrainConfig) -> Made:
    model = trainable_image_model(tiny_unet.fresh_unet(velocity=name == "SD20", kind=name))
    text = {"cross_attn": tiny_unet.text(1)[0]}
    clips = Clips([torch.randn(4, 6, 4, 4) for _ in range(2)], [text] * 2)
    window = FrameWindow(4, 1, 0, "random start")
    objective = TuneAVideoObjective(clips, text, model.process, config, window, Prior(clips, 0.5))
    return model, objective, partial(clip_session, form=Form(rank=2))


TRAINERS = [
    *((tic_ft, name) for name in VIDEO),
    *((by_frame, name) for name in BY_FRAME),
    *((made, name) for made in (motion, appearance) for name in ("Wan 2.1", "CogVideoX 1.5")),
    *((aicl, name) for name in ("Wan 2.1", "CogVideoX 5B")),
    *((tune_a_video, name) for name in ("SD15", "SD20")),
]


def no_backward(loss: Any, parameters: list[Any], _scale: float) -> None:
    """In its place: autograd wants a true device."""
    assert loss.device == CARD
    assert loss.requires_grad
    for parameter in parameters:
        assert parameter.device == CARD
        parameter.grad = torch.full_like(parameter, 0.1)


@pytest.mark.parametrize(("made", "name"), TRAINERS, ids=[f"{made.__name__}, {name}" for made, name in TRAINERS])
def test_a_step_a_validation_and_a_preview_leave_nothing_on_the_cpu(made, name, monkeypatch):
    config = TrainConfig(batch_size=2, rank=2, caption_dropout=0.5, ema_decay=0.9, checkpointing="blocks")
    model, objective, opened = made(name, config)
    monkeypatch.setattr(training_step, "backward", no_backward)
    with pretended_host(monkeypatch, model.model), torch.inference_mode(), opened(model, config) as session:
        assert session.device == CARD
        trainer = Trainer(objective, session.predict, session.trained.parameters(), config)
        state = TrainState()
        trainer.step(state)
        assert torch.isfinite(torch.tensor(state.losses)).all()
        if made in (tic_ft, aicl):  # the others have no validation
            assert validation_losses(objective, session.predict, CARD, (0.3, 0.7))["mean"] > 0
        sigmas = model.process.sigma_at(torch.tensor([0.9, 0.5, 0.1]))
        shown = preview_latents(objective, session.predict, sigmas, PreviewSettings(2, 2.0), CARD)
        assert shown.device == CARD
        assert all(tensor.device.type == "cpu" for tensor in session.trained.tensors(torch.float32).values())


def test_a_tensor_that_is_left_on_the_cpu_is_found(monkeypatch):
    with pretended_cuda(monkeypatch):
        there, here = torch.ones(2, 3).to(CARD), torch.ones(2, 3)
        assert (there.sum(), there.cpu().device.type, there.tolist()[0]) == (6.0, "cpu", [1.0, 1.0, 1.0])
        assert (there * 2.0 + torch.tensor(1.0)).device == CARD  # a single number may come from anywhere
        for mixed in (lambda: there + here, lambda: there @ here.T, lambda: torch.stack([there, here])):
            with pytest.raises(RuntimeError, match=r"device"):
                mixed()
        layer = torch.nn.Linear(3, 2)
        with pytest.raises(RuntimeError, match=r"device"):
            layer(there)
        assert layer.to(CARD)(there).device == CARD
        there[0] += 1.0
        assert there.tolist() == [[2.0] * 3, [1.0] * 3]
        assert isinstance(there, pretended_device.OnCard)


def test_float64_that_the_pack_brings_to_a_device_is_found(monkeypatch):
    code = "there * 0.5, there.double()"
    of_the_pack, of_the_host = (
        compile(f"({code})", str(place), "eval")
        for place in (pretended_device.ROOT / "methods" / "some.py", "/comfy/some.py")
    )
    with pretended_cuda(monkeypatch):
        there = torch.ones(2).to(CARD)
        assert eval(of_the_host, {"there": there})[1].dtype == torch.float64
        with pytest.raises(RuntimeError, match="float64"):
            eval(of_the_pack, {"there": there})
