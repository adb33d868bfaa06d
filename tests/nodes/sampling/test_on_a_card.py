"""Every sampler patch with the network on a CUDA device that is only pretended: nothing is left on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tiny_aicl
import tiny_families
import tiny_sampling
import tiny_unet
import torch
from pretended_device import pretended_host
from torch import Tensor
from tuned_models import tuned_of

from pack.methods.tic_ft import Layout
from pack.nodes.host.aicl.adapter import HostAdapter
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.nodes.inversion import FewShotInversion
from pack.nodes.motion import FewShotMotionApply
from pack.training.lora.file import LoraModel

STEPS, FRAMES = 3, 4
Sampled = Callable[[Any, str], Tensor]  # with a fresh MODEL and its name


def tic_ft(model: Any, name: str, by_frame: bool = False) -> Tensor:
    (family,) = (tiny for tiny in tiny_families.ALL if tiny.name == name)
    layout = Layout.linear(*((1, 3, 3) if family.time_patch == 1 else (2, 4, 4)))
    prompts = (family.conditioning(1), family.conditioning(2))
    start = tiny_sampling.scene(layout, model=model, prompts=prompts)
    patched = Context(layout, start.x0, by_frame).put_on(repaired(model))
    return tiny_sampling.sample(patched, start, "dpmpp_2m", cfg=3.0, steps=STEPS)


def with_timesteps_of_frames(model: Any, name: str) -> Tensor:
    return tic_ft(model, name, by_frame=True)


def aicl(model: Any, name: str) -> Tensor:
    adapter = HostAdapter(tiny_aicl.random_adapter(name), "the test's adapter")
    action = tiny_aicl.action_of(name, (0, 1), adapter)
    return tiny_aicl.sample(apply_action(model, action, 1.0), name, tiny_aicl.start(name), STEPS, 3.0)


def motion(model: Any, _name: str) -> Tensor:
    layers = ("blocks.0.self_attn.q", "blocks.1.cross_attn.q")
    tensors = {f"diffusion_model.{layer}.lora_up.weight": torch.full((48, 2), 0.3) for layer in layers}
    tensors |= {f"diffusion_model.{layer}.lora_down.weight": torch.full((2, 48), 0.2) for layer in layers}
    patched = FewShotMotionApply.execute(model, LoraModel(tensors), 1.0, 0.0, 0.6).result[0]
    start = tiny_sampling.scene(Layout(0, 0, FRAMES), model=model)
    return tiny_sampling.sample(patched, start, cfg=3.0, steps=STEPS)


def image(model: Any) -> Tensor:
    import comfy.sample

    prompts = (tiny_unet.conditioning(1), tiny_unet.conditioning(2))
    noise = tiny_unet.clip(FRAMES, 3)
    return comfy.sample.sample(
        model, noise, STEPS, 3.0, "ddim", "simple", *prompts, torch.zeros_like(noise), seed=3, disable_pbar=True
    )


def tune_a_video(model: Any, name: str) -> Tensor:
    return image(apply_tuned(model, tuned_of(tiny_unet.tiny_unet(kind=name)), 1.0))


def inversion(model: Any, name: str) -> Tensor:
    if name.startswith("SD"):
        samples, prompt = tiny_unet.clip(FRAMES, 5), tiny_unet.conditioning(1)
    else:
        shape = (1, 16, FRAMES, tiny_sampling.SIZE, tiny_sampling.SIZE)
        samples, prompt = torch.randn(shape, generator=torch.Generator().manual_seed(5)), tiny_sampling.POSITIVE
    return FewShotInversion.execute(model, prompt, {"samples": samples}, STEPS).result[1].samples


CASES: list[tuple[Sampled, str]] = [
    *((tic_ft, tiny.name) for tiny in tiny_families.ALL),
    *((with_timesteps_of_frames, name) for name in ("Wan 2.1", "LTXV", "LTX-2")),
    *((aicl, name) for name in ("Wan 2.1", "CogVideoX 5B")),
    (motion, "Wan 2.1"),
    *((tune_a_video, name) for name in ("SD15", "SD20")),
    *((inversion, name) for name in ("Wan 2.1", "SD15")),
]


def fresh(name: str) -> Any:
    return tiny_unet.fresh_unet(kind=name) if name.startswith("SD") else tiny_families.fresh_model_of(name)


@pytest.mark.parametrize(("sampled", "name"), CASES, ids=[f"{made.__name__}, {name}" for made, name in CASES])
def test_sampling_on_a_card_leaves_nothing_on_the_cpu_and_gives_the_same(sampled, name, monkeypatch):
    with torch.inference_mode():
        expected = sampled(fresh(name), name)
        model = fresh(name)
        with pretended_host(monkeypatch, model):
            found = sampled(model, name)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-4)
