"""Inputs of TIC-FT Long Video that each make another video, and the keys under which those are kept."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import tiny_aicl
import tiny_sampling as tiny
import torch
from comfy_api.latest import InputImpl, Types
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from comfy_extras.nodes_custom_sampler import KSamplerSelect, SamplerER_SDE
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from tiny_vae import PIXELS, clip, tiny_vae
from tiny_vision import tiny_vision

from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.sampling.context import ContextRequest
from pack.nodes.host.sampling.long_identity import key_of
from pack.nodes.host.sampling.long_output import Reached
from pack.nodes.host.sampling.long_plan import LongRequest
from pack.nodes.host.sampling.long_video import Solver
from pack.nodes.host.sampling.motion import apply_motion
from pack.training.lora.file import LoraModel

KEY = "diffusion_model.blocks.0.self_attn.q"


def cfg_function(scale: float) -> Any:
    """The MODEL with a guidance of another pack, which keeps its scale in a closure."""
    model = tiny.tiny_model().clone()
    model.set_model_sampler_cfg_function(lambda args: args["uncond"] + scale * (args["cond"] - args["uncond"]))
    return model


def attention_patch() -> Any:
    """The MODEL with a patch of its cross-attention."""
    model = tiny.tiny_model().clone()
    model.set_model_attn2_patch(lambda q, k, v, _: (q, k * 1.5, v))
    return model


def wrapped() -> Any:
    """The MODEL with a wrapper around the network."""
    from comfy.patcher_extension import WrappersMP

    model = tiny.tiny_model().clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "scaled", lambda executor, *a, **k: executor(*a, **k) * 0.9)
    return model


def lora(seed: int) -> LoraModel:
    """Random weights for one layer."""
    noise = torch.Generator().manual_seed(seed)
    up, down = torch.randn(48, 2, generator=noise), torch.randn(2, 48, generator=noise)
    return LoraModel({f"{KEY}.lora_up.weight": up * 0.3, f"{KEY}.lora_down.weight": down * 0.3}, None)


def motion(seed: int = 0, start: float = 0.0) -> Any:
    """The MODEL with Motion Apply."""
    return apply_motion(tiny.tiny_model(), lora(seed), 1.0, start, 1.0)


def acted(strength: float) -> Any:
    """The MODEL with AICL Apply."""
    return apply_action(tiny.tiny_model(), tiny_aicl.action_of("Wan 2.1"), strength)


def windowed(length: int) -> Any:
    """The MODEL with the host's Context Windows."""
    options = {"context_schedule": "standard_static", "context_stride": 1, "closed_loop": False, "dim": 2}
    windows = {"fuse_method": "pyramid", "freenoise": False, **options}
    return ContextWindowsManualNode.execute(tiny.tiny_model(), length, 1, **windows).args[0]


def hooked(strength: float) -> Any:
    """A prompt with a LoRA on hooks that are scheduled by the host's keyframes."""
    from comfy.hooks import HookKeyframe, HookKeyframeGroup, create_hook_lora, set_hooks_for_conditioning

    hooks, frames = create_hook_lora(dict(lora(1)), strength, 1.0), HookKeyframeGroup()
    for share, start in ((1.0, 0.0), (0.5, 0.5)):
        frames.add(HookKeyframe(share, start))
    hooks.set_keyframes_on_hooks(frames)
    return set_hooks_for_conditioning(tiny.conditioning(1), hooks)


def stochastic(eta: float) -> Any:
    """A SAMPLER whose eta lies in a closure."""
    return SamplerER_SDE.execute("Reverse-time SDE", 3, eta, 1.0).args[0]


def in_memory(fps: int) -> Any:
    """A VIDEO of Create Video."""
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=clip(9), frame_rate=Fraction(fps)))


def shifted(shift: float) -> Any:
    """The MODEL with the host's ModelSamplingSD3."""
    return ModelSamplingSD3().patch(tiny.tiny_model(), shift)[0]


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "nothing": dict,
    "another seed": lambda: {"seed": 4},
    "guidance": lambda: {"model": cfg_function(2.0)},
    "guidance of another scale": lambda: {"model": cfg_function(3.0)},
    "attention patch": lambda: {"model": attention_patch()},
    "wrapper": lambda: {"model": wrapped()},
    "shift": lambda: {"model": shifted(3.0)},
    "motion": lambda: {"model": motion()},
    "another motion": lambda: {"model": motion(seed=1)},
    "motion from later on": lambda: {"model": motion(start=0.5)},
    "action": lambda: {"model": acted(1.0)},
    "weaker action": lambda: {"model": acted(0.5)},
    "context windows": lambda: {"model": windowed(9)},
    "longer context windows": lambda: {"model": windowed(10)},
    "second expert": lambda: {"model_2": tiny.tiny_model(), "sigmas_2": torch.tensor([0.5, 0.0])},
    "guided second expert": lambda: {"model_2": cfg_function(2.0), "sigmas_2": torch.tensor([0.5, 0.0])},
    "euler ancestral": lambda: {"sampler": KSamplerSelect.execute("euler_ancestral").args[0]},
    "adaptive": lambda: {"sampler": KSamplerSelect.execute("dpm_adaptive").args[0]},
    "eta 0.1": lambda: {"sampler": stochastic(0.1)},
    "eta 5": lambda: {"sampler": stochastic(5.0)},
    "hooks": lambda: {"positive": hooked(1.0)},
    "weaker hooks": lambda: {"positive": hooked(0.5)},
    "hooks on the negative": lambda: {"negative": hooked(1.0)},
    "video at 8 fps": lambda: {"source": in_memory(8)},
    "video at 24 fps": lambda: {"source": in_memory(24)},
    "CLIP vision": lambda: {"clip_vision": tiny_vision()},
    "behind a latent": lambda: {"start": Reached(8, 8, torch.ones(1, 16, 2, 4, 4))},
}


def key(
    model: Any = None, source: Any = None, sampler: Any = None, seed: int = 3, positive: Any = None,
    negative: Any = None, start: Reached | None = None, clip_vision: Any = None, **solver: Any,
) -> str:  # fmt: skip
    """The key of one request, everything in it made anew."""
    prompts = positive or tiny.conditioning(1), negative or tiny.conditioning(2)
    sampler = sampler or KSamplerSelect.execute("euler").args[0]
    solved = Solver(*prompts, 1.0, sampler, torch.tensor([1.0, 0.6, 0.0]), seed, **solver)
    request = LongRequest(ContextRequest("video to video", PIXELS, PIXELS, 8))
    video, source = video_model(model or tiny.tiny_model()), clip(9) if source is None else source
    return key_of(video, tiny_vae(), solved, source, request, start or Reached(), clip_vision)


def keys() -> dict[str, str]:
    """Those of all cases."""
    with torch.inference_mode():
        return {name: key(**case()) for name, case in CASES.items()}
