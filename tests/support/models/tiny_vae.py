"""Video VAEs of the host's own classes, small enough for tests."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

PIXELS = 32  # width and height of a clip; 4 x 4 latents of the first two VAEs


@cache
def tiny_vae() -> Any:
    """A Wan 2.1 VAE of width 4 with seeded random weights; HunyuanVideo's has the same channels and compression."""
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE

    network = WanVAE(dim=4, z_dim=16, temperal_downsample=[False, True, True])  # as the host builds it
    vae = comfy.sd.VAE(sd=_random(network))
    vae.throw_exception_if_invalid()
    return vae


@cache
def tiny_cogvideox_vae() -> Any:
    """A CogVideoX VAE; an even number of latents opens with 4 frames in it, an odd one with 1."""
    import comfy.ldm.cogvideo.vae as module

    return _shrunk(module, "AutoencoderKLCogVideoX", block_out_channels=(32,) * 4, layers_per_block=1)


@cache
def tiny_wan_5b_vae() -> Any:
    """The VAE of Wan 2.2 5B: 48 channels, 16 pixels a latent."""
    import comfy.ldm.wan.vae2_2 as module

    sizes = {"dim": 4, "dec_dim": 4, "z_dim": 48, "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    return _shrunk(module, "WanVAE", **sizes)


LTXV: dict[str, Any] = {
    "dims": 3, "latent_channels": 128, "norm_layer": "pixel_norm", "patch_size": 4, "latent_log_var": "uniform",
    "blocks": [["res_x", 1], *[["compress_all", 1]] * 3, ["res_x", 1]],
    "encoder_base_channels": 8, "decoder_base_channels": 8, "spatial_padding_mode": "zeros",
}  # fmt: skip


@cache
def tiny_ltxv_vae() -> Any:
    """LTXV's VAE, whose sizes the host reads from the metadata: 8 frames and 32 pixels a latent."""
    import comfy.sd

    vae = comfy.sd.VAE(sd=ltxv_vae_weights(), metadata={"config": json.dumps({"vae": LTXV})})
    vae.throw_exception_if_invalid()
    return vae


def ltxv_vae_weights() -> dict[str, Tensor]:
    """Of the small VAE of LTXV, as a file holds them."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    return _random(VideoVAE(config=LTXV))


@cache
def tiny_hunyuan_15_vae() -> Any:
    """HunyuanVideo 1.5's: 32 channels, 16 pixels a latent."""
    import comfy.ldm.hunyuan_video.vae_refiner as module
    import comfy.sd
    from comfy.ldm.models.autoencoder import AutoencodingEngine

    form = {"in_channels": 3, "out_channels": 3, "z_channels": 32, "ffactor_spatial": 16, "ffactor_temporal": 4}
    sizes = {**form, "block_out_channels": [64] * 5, "num_res_blocks": 1}
    small = {name: partial(getattr(module, name), **sizes) for name in ("Encoder", "Decoder")}
    changed = {name: lambda build=build, **_given: build() for name, build in small.items()}
    parts = {f"{name.lower()}_config": {"target": f"{module.__name__}.{name}", "params": {}} for name in small}
    empty = {"target": "comfy.ldm.models.autoencoder.EmptyRegularizer"}
    with patch.multiple(module, **changed):
        vae = comfy.sd.VAE(sd=_random(AutoencodingEngine(regularizer_config=empty, **parts)))
    vae.throw_exception_if_invalid()
    return vae


def _shrunk(module: Any, name: str, **sizes: Any) -> Any:
    """A host VAE of a class whose sizes the host has no file say for."""
    import comfy.sd

    build = getattr(module, name)
    with patch.object(module, name, lambda **given: build(**{**given, **sizes})):
        vae = comfy.sd.VAE(sd=_random(build(**sizes)))
    vae.throw_exception_if_invalid()
    return vae


def _random(network: nn.Module) -> dict[str, Tensor]:
    """Seeded random weights; what scales a channel is 1."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in network.state_dict().items():
        if name.endswith(("gamma", "std-of-means")) or (value.ndim == 1 and name.endswith("weight")):
            state[name] = torch.ones(value.shape)
        else:
            scale = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
            state[name] = torch.randn(value.shape, generator=generator) * scale
    return state


SHARED: tuple[Callable[[], Any], ...] = (
    tiny_vae, tiny_cogvideox_vae, tiny_wan_5b_vae, tiny_ltxv_vae, tiny_hunyuan_15_vae,
)  # fmt: skip
for _vae in SHARED:
    atexit.register(_vae.cache_clear)  # while the host can still unload it


def clip(frames: int, seed: int = 0, width: int = PIXELS, height: int = PIXELS) -> torch.Tensor:
    """Random frames ``[T, H, W, 3]``."""
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))
