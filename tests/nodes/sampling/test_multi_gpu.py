"""Beside the host's MultiGPU CFG Split, on two devices that are the same processor: what one device samples.

``cpu`` and ``cpu:0`` are two devices for the host and one for torch, so that the host makes a second network, loads it
and has a thread of its own work on it, and every tensor finds its way.
"""

from __future__ import annotations

from typing import Any

import comfy.model_management
import pytest
import tiny_aicl
import tiny_families
import tiny_unet
import torch
from tiny_sampling import Scene, sample, scene
from tuned_models import tuned_of

from pack.methods.tic_ft import Layout
from pack.methods.tune_a_video import PER_FRAME, POOLED
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.model.changes import changes_on
from pack.nodes.host.sampling.motion import apply_motion
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.host.services.devices import on_one_device
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.training.lora.file import LoraModel

multigpu = pytest.importorskip("comfy.multigpu", reason="this ComfyUI has no MultiGPU CFG Split")

pytestmark = pytest.mark.usefixtures("own_output")

TWO = [torch.device("cpu"), torch.device("cpu", 0)]


@pytest.fixture(autouse=True)
def _two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda exclude_current=False: list(TWO))  # noqa: ARG005


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The devices that got something to do."""
    seen: list[Any] = []
    submit = multigpu.MultiGPUThreadPool.submit

    def listening(self: Any, device: Any, *args: Any, **options: Any) -> None:
        seen.append(device)
        submit(self, device, *args, **options)

    monkeypatch.setattr(multigpu.MultiGPUThreadPool, "submit", listening)
    return seen


def split(model: Any) -> Any:
    """The host's node."""
    with torch.inference_mode():
        return multigpu.create_multigpu_deepclones(model, 2)


def lora() -> LoraModel:
    """One that moves the queries of the tiny Wan."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for block in range(2):
        key = f"diffusion_model.blocks.{block}.self_attn.q"
        tensors[f"{key}.lora_up.weight"] = torch.randn(48, 2, generator=generator) * 0.3
        tensors[f"{key}.lora_down.weight"] = torch.randn(2, 48, generator=generator) * 0.3
    return LoraModel(tensors, None)


BOTH_WAYS = pytest.mark.parametrize("before", [False, True], ids=["split behind", "split before"])


def sampled_alike(model: Any, put_on: Any, before: bool, worked: list[Any], **options: Any) -> None:
    """Both devices work, and sample what one does with the same things on the model."""
    start = options.pop("start")
    alone = put_on(model)
    plain, expected = sample(model, start, cfg=3.0), sample(alone, start, cfg=3.0, **options)
    assert worked == []
    both = put_on(split(model)) if before else split(alone)
    assert torch.equal(plain, sample(model, start, cfg=3.0))  # the model itself has nothing on it
    found = sample(both, start, cfg=3.0, **options)
    assert set(worked) == set(TWO)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)


@BOTH_WAYS
@pytest.mark.parametrize("per_frame", [False, True], ids=["one timestep", "per frame"])
def test_tic_ft(model, worked, per_frame, before):
    start = scene(Layout.linear(1, 2, 3), model=model)
    context = Context(Layout.linear(1, 2, 3), start.x0, per_frame)
    sampled_alike(model, context.put_on, before, worked, start=start)


@BOTH_WAYS
def test_a_lora_in_a_window_of_the_sampling(model, worked, before):
    start = scene(Layout(0, 0, 4), model=model)
    sampled_alike(model, lambda to: apply_motion(to, lora(), 1.0, 0.0, 0.6), before, worked, start=start, steps=5)


def reloaded(make: Any) -> Any:
    """A host MODEL that is made anew for another device, as the host's loaders do."""
    made = make()
    made.cached_patcher_init = (lambda **_: make(), ())
    return made


@BOTH_WAYS
@pytest.mark.parametrize("family", ["Wan 2.1", "CogVideoX 5B"])
def test_aicl_has_a_copy_of_the_adapter_on_each_device(worked, before, family):
    model, action = reloaded(lambda: tiny_families.fresh_model_of(family)), tiny_aicl.action_of(family)
    begin, prompts = tiny_aicl.start(family), tuple(tiny_aicl.conditioning_of(family, seed) for seed in (1, 2))
    start = Scene(begin.latent[:, :, :0], begin.latent, begin.noise, model, prompts)
    sampled_alike(model, lambda to: apply_action(to, action, 1.0), before, worked, start=start)


@BOTH_WAYS
@pytest.mark.parametrize("norms", [PER_FRAME, POOLED])
def test_tune_a_video_has_a_copy_of_its_layers_on_each_device(worked, before, norms):
    model = reloaded(tiny_unet.fresh_unet)
    tuned = tuned_of(model, norms)
    shape = (4, tiny_unet.CHANNELS, tiny_unet.SIZE, tiny_unet.SIZE)
    start = Scene(torch.zeros(shape), torch.zeros(shape), torch.randn(shape), model)
    sampled_alike(model, lambda to: apply_tuned(to, tuned, 1.0), before, worked, start=start)


def test_training_leaves_the_copies_off():
    model = reloaded(tiny_unet.fresh_unet)
    assert on_one_device(model) is model
    trained = on_one_device(split(model))
    assert not trained.get_additional_models_with_key("multigpu")
    assert changes_on(trained) == changes_on(model)
