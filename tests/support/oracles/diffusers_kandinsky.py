"""diffusers' Kandinsky 5 with the weights of a tiny network of the host; both have the same names."""

from __future__ import annotations

import tiny_kandinsky
import torch
from diffusers import Kandinsky5Transformer3DModel
from diffusers_networks import Network
from torch import Tensor

SPACING = (1.0, 2.0, 2.0)  # what its pipeline divides positions by at usual sizes


def kandinsky(weights: dict[str, Tensor], pooled: Tensor) -> Network:
    """Kandinsky 5 of the sizes of ``tiny_kandinsky``; the image's channels are empty, as for a video from a text."""
    form = {"in_visual_dim": 16, "out_visual_dim": 16, "visual_cond": True}
    network = Kandinsky5Transformer3DModel(**form, **tiny_kandinsky.CONFIG).eval()
    network.load_state_dict(weights)

    def answer(xt: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        frames = torch.cat([xt, xt.new_zeros(len(xt), 17, *xt.shape[2:])], dim=1).movedim(1, -1)
        places = (torch.arange(xt.shape[2]), torch.arange(xt.shape[3] // 2), torch.arange(xt.shape[4] // 2))
        words = torch.arange(text.shape[1])
        given = (frames, text, timestep, pooled.expand(len(xt), -1), places, words)
        return network(*given, scale_factor=SPACING, return_dict=False).movedim(-1, 1)

    return answer
