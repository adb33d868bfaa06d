"""A small network of the host's class of Kandinsky 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny_weights import random_weights

POOLED, TEXT_DIM = 768, 3584  # which the host's detection has fixed
CONFIG: dict[str, Any] = {
    "in_text_dim": TEXT_DIM, "time_dim": 32, "model_dim": 64, "ff_dim": 128, "num_text_blocks": 1,
    "num_visual_blocks": 2,
}  # fmt: skip


def save_tiny_kandinsky(path: Path, seed: int = 0) -> Path:
    """One head of 64 channels and two blocks."""
    import comfy.ops
    from comfy.ldm.kandinsky5.model import Kandinsky5

    net = Kandinsky5(operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **CONFIG)
    save_file(random_weights(net, seed), path)
    return path
