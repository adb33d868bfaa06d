"""Stable Diffusion 1.x and 2.x of the host's own classes, small enough for tests and built in code.

The host's file loader needs 320 channels; the classes do not.
"""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import torch
from torch import Tensor

CHANNELS = 4  # of a latent
SIZE = 4  # latent pixels
TEXT_DIM = 32
TOKENS = 5
CONFIG: dict[str, Any] = {
    "image_size": 32, "in_channels": CHANNELS, "out_channels": CHANNELS,
    "num_res_blocks": [1, 1], "channel_mult": [1, 2], "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1], "transformer_depth_middle": 1, "use_spatial_transformer": True,
    "context_dim": TEXT_DIM, "adm_in_channels": None,
    "use_temporal_attention": False, "legacy": False,
}  # fmt: skip


def fresh_unet(seed: int = 0, velocity: bool = False, kind: str = "SD15", **config: Any) -> Any:
    """A host MODEL of seeded random weights, of a kind that the host knows by this name."""
    import comfy.model_base
    import comfy.model_management as management
    import comfy.model_patcher
    import comfy.supported_models

    later = kind == "SD20"  # whose heads have 64 channels; the other has eight heads
    own = {"use_linear_in_transformer": later, "model_channels": 64 if later else 32}
    config = {**CONFIG, **own, **config, "dtype": torch.float32}
    types = comfy.model_base.ModelType
    with torch.inference_mode():
        base = comfy.model_base.BaseModel(
            getattr(comfy.supported_models, kind)(config), types.V_PREDICTION if velocity else types.EPS, device="cpu"
        )
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in base.diffusion_model.named_parameters():
            flat = parameter.ndim < 2 and "bias" not in name  # scales of the norms
            scale = 0.1 if parameter.ndim < 2 else 1.0 / parameter[0].numel() ** 0.5
            scale *= 0.3 if name.startswith("out.2") else 1.0  # so that sampling does not blow up rounding errors
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + flat)
    base.eval()
    return comfy.model_patcher.CoreModelPatcher(
        base, load_device=management.get_torch_device(), offload_device=management.unet_offload_device()
    )


@cache
def tiny_unet(velocity: bool = False, kind: str = "SD15") -> Any:
    """A host MODEL that all tests share; tests put what they need on clones."""
    return fresh_unet(velocity=velocity, kind=kind)


atexit.register(tiny_unet.cache_clear)  # while the host can still unload it


def clip(frames: int, seed: int = 0, parts: int = 1) -> Tensor:
    """Random latents of a clip, ``[parts frames, C, h, w]``."""
    return torch.randn(parts * frames, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def text(seed: int) -> Tensor:
    """Random tokens of a prompt, ``[1, N, D]``."""
    return torch.randn(1, TOKENS, TEXT_DIM, generator=torch.Generator().manual_seed(seed))


def conditioning(seed: int) -> list[Any]:
    """The CONDITIONING of these tokens."""
    return [[text(seed), {"pooled_output": None}]]


def answer(model: Any, x: Tensor, timestep: int, kinds: list[int], texts: dict[int, Tensor] | None = None) -> Tensor:
    """The network's output for all parts of a call, after the host's own loading, with everything patched in.

    ``kinds`` are 0 for a positive and 1 for a negative prompt, in the order in which they lie in the batch.
    """
    import comfy.model_management
    import comfy.model_patcher

    texts = texts or {0: text(1), 1: text(2)}
    context = torch.cat([texts[kind] for kind in kinds or [0]]).repeat_interleave(x.shape[0] // max(1, len(kinds)), 0)
    context = context[:1].expand(x.shape[0], -1, -1) if len(context) != x.shape[0] else context  # a call that is wrong
    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model, *model.get_nested_additional_models()])
        options = comfy.model_patcher.create_model_options_clone(model.model_options)["transformer_options"]
        options = {**options, "cond_or_uncond": kinds, "wrappers": model.wrappers}
        timesteps = torch.full((x.shape[0],), float(timestep))
        return model.model.diffusion_model(x, timesteps, context=context, transformer_options=options).clone()
