"""LTXV, LTX-2 and LTX-2.3 as tiny networks of the host's own classes, whose sizes the host reads from the metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_vae
import torch
from safetensors.torch import save_file
from tiny_weights import random_weights
from torch import Tensor

TEXT_DIM = 32  # channels of a text token, as in the other families
LTXV: dict[str, Any] = {
    "num_attention_heads": 2, "attention_head_dim": 12, "cross_attention_dim": 24, "caption_channels": TEXT_DIM,
    "num_layers": 2,
}  # fmt: skip
# What the published files of LTX-2 and 2.3 say besides their sizes.
_AV: dict[str, Any] = {
    **LTXV,
    "audio_num_attention_heads": 2, "rope_type": "split", "frequencies_precision": "float64",
    "use_middle_indices_grid": True, "causal_temporal_positioning": True, "av_ca_timestep_scale_multiplier": 1000,
}  # fmt: skip
# One connector's channels for both streams, and the text's projection behind it.
LTX_2: dict[str, Any] = {
    **_AV,
    "audio_attention_head_dim": 8, "audio_cross_attention_dim": 16,
    "connector_num_attention_heads": 2, "connector_attention_head_dim": 16,
}  # fmt: skip
# The text comes projected, 24 channels for the video and 8 for the sound; attention has gates, and that of the text
# is modulated by the timestep.
LTX_23: dict[str, Any] = {
    **_AV,
    "audio_attention_head_dim": 4, "audio_cross_attention_dim": 8,
    "connector_num_attention_heads": 2, "connector_attention_head_dim": 12, "audio_connector_attention_head_dim": 4,
    "caption_proj_before_connector": True, "caption_projection_first_linear": False, "cross_attention_adaln": True,
    "apply_gated_attention": True, "connector_apply_gated_attention": True,
}  # fmt: skip

# The same for texts of 64 channels, as the toy's text encoder gives them.
LTX_23_WIDE: dict[str, Any] = {
    **LTX_23,
    "attention_head_dim": 24, "cross_attention_dim": 48, "audio_attention_head_dim": 8, "audio_cross_attention_dim": 16,
    "connector_attention_head_dim": 24, "audio_connector_attention_head_dim": 8,
}  # fmt: skip


def save_tiny_ltx(path: Path, seed: int = 0, config: dict[str, Any] = LTXV) -> Path:
    """A file with random weights; of the class that the sizes are for."""
    save_file(_weights(seed, config), path, metadata={"config": json.dumps({"transformer": config})})
    return path


def save_tiny_checkpoint(path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Path:
    """LTX-2.3 and its VAE in one file, as it is published; ``change`` is done to the network's weights."""
    parts = {"model.diffusion_model.": change(_weights(0, LTX_23_WIDE)), "vae.": tiny_vae.ltxv_vae_weights()}
    state = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.items()}
    save_file(state, path, metadata={"config": json.dumps({"transformer": LTX_23_WIDE, "vae": tiny_vae.LTXV})})
    return path


def _weights(seed: int, config: dict[str, Any]) -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.lightricks.av_model import LTXAVModel
    from comfy.ldm.lightricks.model import LTXVModel

    kind = LTXVModel if config is LTXV else LTXAVModel
    net = kind(operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **config)
    return random_weights(net, seed)
