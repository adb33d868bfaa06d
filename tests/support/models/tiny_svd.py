"""Stable Video Diffusion of the host's own classes, small enough for tests and built in code.

The host's file loader needs the full topology; the classes do not.
"""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import torch

CHANNELS = 4  # of a latent
SIZE = 4  # latent pixels
TEXT_DIM = 32  # of what takes the place of a caption, the first frame's image embedding
FRAMES = 3
CONFIG: dict[str, Any] = {
    "image_size": 32, "in_channels": 8, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1, 1],
    "channel_mult": [1, 2], "transformer_depth": [1, 1], "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1, "use_spatial_transformer": True, "use_linear_in_transformer": True,
    "context_dim": TEXT_DIM, "adm_in_channels": 768, "num_classes": "sequential", "legacy": False,
    "extra_ff_mix_layer": True, "use_spatial_context": True, "merge_strategy": "learned_with_images",
    "merge_factor": 0.0, "video_kernel_size": [3, 1, 1], "use_temporal_resblock": True,
    "use_temporal_attention": True, "disable_temporal_crossattention": False, "num_heads": 2, "num_head_channels": -1,
}  # fmt: skip


def fresh_svd(seed: int = 0) -> Any:
    """A host MODEL of seeded random weights."""
    import comfy.model_base
    import comfy.model_management as management
    import comfy.model_patcher
    import comfy.supported_models

    with torch.inference_mode():
        config = comfy.supported_models.SVD_img2vid({**CONFIG, "dtype": torch.float32})
        config.unet_config |= {"num_heads": 2, "num_head_channels": -1}  # the host's heads have always 64 channels
        base = comfy.model_base.SVD_img2vid(config, device="cpu")
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in base.diffusion_model.named_parameters():
            flat = parameter.ndim < 2 and "bias" not in name  # scales of the norms
            scale = 0.1 if parameter.ndim < 2 else 1.0 / parameter[0].numel() ** 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + flat)
    base.eval()
    return comfy.model_patcher.CoreModelPatcher(
        base, load_device=management.get_torch_device(), offload_device=management.unet_offload_device()
    )


@cache
def tiny_svd() -> Any:
    """A host MODEL that all tests share; tests put what they need on clones."""
    return fresh_svd()


atexit.register(tiny_svd.cache_clear)  # while the host can still unload it


def conditioning(seed: int) -> list[Any]:
    """A CONDITIONING as SVD's own node makes it: an image embedding, and the first frame's latents for every frame."""
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(1, 1, TEXT_DIM, generator=generator)
    first = torch.randn(1, CHANNELS, SIZE, SIZE, generator=generator)
    return [[embedding, {"concat_latent_image": first, "motion_bucket_id": 127, "fps": 6, "augmentation_level": 0.0}]]


@cache
def tiny_image_vae() -> Any:
    """The smallest image VAE the host has, with seeded random weights: 4 channels, 8 pixels a latent."""
    import comfy.sd
    from comfy.taesd.taesd import TAESD

    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in TAESD().state_dict().items():
        scale = 0.5 * value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
        state[name] = torch.randn(value.shape, generator=generator) * scale if value.ndim else value
    vae = comfy.sd.VAE(sd=state)
    vae.throw_exception_if_invalid()
    return vae


atexit.register(tiny_image_vae.cache_clear)
