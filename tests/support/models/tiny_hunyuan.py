"""Small networks of the host's HunyuanVideo classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny_weights import random_weights
from torch import Tensor

TEXT_DIM, POOLED = 32, 768
HEAD = 128  # channels of an attention head, which the host's detection has fixed
SPREAD = 0.06  # of the weights: as much comes out as goes in at this width
CONFIG: dict[str, Any] = {
    "in_channels": 16, "out_channels": 16, "patch_size": [1, 2, 2], "vec_in_dim": POOLED, "context_in_dim": TEXT_DIM,
    "hidden_size": HEAD, "num_heads": 1, "mlp_ratio": 4.0, "depth": 2, "depth_single_blocks": 2,
    "axes_dim": [16, 56, 56], "theta": 256, "qkv_bias": True, "guidance_embed": True, "byt5": False,
    "meanflow": False, "use_cond_type_embedding": False, "vision_in_dim": None, "meanflow_sum": False,
}  # fmt: skip
# Latents of 32 channels, as many of an image that is given, and a mask; further texts and SigLIP features.
LATER: dict[str, Any] = {
    "in_channels": 65, "out_channels": 32, "patch_size": [1, 1, 1], "vec_in_dim": None, "depth_single_blocks": 0,
    "guidance_embed": False, "byt5": True, "use_cond_type_embedding": True, "vision_in_dim": 1152, "meanflow_sum": True,
}  # fmt: skip


def save_tiny_hunyuan(path: Path, seed: int = 0, **more: Any) -> Path:
    """HunyuanVideo with one head and two blocks of each kind; ``more`` of its settings in place of those."""
    import comfy.ops
    from comfy.ldm.hunyuan_video.model import HunyuanVideo

    config = {**CONFIG, **more}
    net = HunyuanVideo(operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **config)
    save_file(random_weights(net, seed, SPREAD), path)
    return path


def byt5_text(tokens: int = 3) -> Tensor:
    """Random tokens ``[1, N, 1472]`` of the quoted words of a caption."""
    return torch.randn(1, tokens, 1472, generator=torch.Generator().manual_seed(11))
