"""TIC-FT Long Video on the tiny network and the tiny VAE."""

from __future__ import annotations

from typing import Any

import tiny_sampling as tiny
import torch
from comfy_extras.nodes_custom_sampler import KSamplerSelect
from tiny_vae import PIXELS, clip, tiny_vae

from pack.nodes.tic_ft_long import TICFTLongVideo


def make(source: Any = None, **changed: Any) -> tuple:
    """The node as the executor runs it: 14 frames of video to video in windows of 8 frames that move on by 4."""
    model = changed.pop("model", None) or tiny.tiny_model()
    inputs = {
        "model": model, "vae": tiny_vae(), "positive": tiny.POSITIVE, "negative": tiny.NEGATIVE, "cfg": 1.0, "seed": 3,
        "sampler": KSamplerSelect.execute("euler").args[0], "sigmas": torch.tensor([1.0, 0.6, 0.0]),
        "source": clip(14) if source is None else source, "task": "video to video", "width": PIXELS, "height": PIXELS,
        "filename": "long", "window_frames": 8, "overlap_latents": 1, **changed,
    }  # fmt: skip
    with torch.inference_mode():
        return TICFTLongVideo.execute(**inputs).args
