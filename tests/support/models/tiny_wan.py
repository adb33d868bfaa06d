"""A Wan 2.1 network of the host's own class, small enough for tests, loaded from a file by the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

CONFIG = {"dim": 48, "ffn_dim": 64, "num_heads": 2, "num_layers": 2, "text_dim": 32, "freq_dim": 32}
LATENT_CHANNELS = 16


def save_tiny_wan(
    path: Path, seed: int = 0, channels: int = LATENT_CHANNELS, more: int = 0, kind: str = "t2v", **config: int
) -> Path:
    """Write seeded random weights, and the sizes the host cannot infer into the metadata; 48 channels make 2.2 5B.

    20 ``more`` channels of input make 2.2 14B image-to-video, with the kind "i2v" that of 2.1, and with
    ``flf_pos_embed_token_number`` first-last-frame-to-video.
    """
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    config = {**CONFIG, **config}
    net = WanModel(
        model_type=kind, in_dim=channels + more, out_dim=channels, cross_attn_norm=True,
        operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **config,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, parameter in net.named_parameters():
        flat = parameter.ndim < 2 and "bias" not in name
        state[name] = torch.ones(parameter.shape) if flat else torch.randn(parameter.shape, generator=generator) * 0.1
    save_file(state, path, metadata={"config": json.dumps({"transformer": config})})
    return path


def load_tiny_wan(path: Path) -> Any:
    """The host MODEL, loaded in inference mode as a node would."""
    import comfy.sd

    with torch.inference_mode():
        return comfy.sd.load_diffusion_model(str(path))


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    """Copies of the bare weights."""
    return {name: value.detach().clone() for name, value in model.model.diffusion_model.state_dict().items()}


def places_of(model: Any) -> dict[str, int]:
    """Where each weight lies in memory."""
    return {name: value.data_ptr() for name, value in model.model.diffusion_model.state_dict().items()}


def velocity_of(model: Any, xt: torch.Tensor, sigma: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """The network's velocity after the host's own loading, with everything patched in."""
    import comfy.model_management

    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model])
        return model.model.diffusion_model(xt, sigma * 1000, context=context, transformer_options={})
