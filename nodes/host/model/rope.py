"""RoPE of CogVideoX 1.0 for the position ids it was trained with, which the host spaces too far apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

ROPE = "diffusion_model._get_rotary_emb"  # the host's name of what computes it
GRID = (30, 45)  # rows and columns of tokens the model was trained on, 480 x 720 pixels

Region = tuple[tuple[int, int], tuple[int, int]]


def trained_rope(model: Any) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """What to compute RoPE with instead of the host's own; None where the host's is right.

    The host multiplies rows and columns by the 1.875 by which those of CogVideoX 2B's position embeddings are divided;
    RoPE knows no such number. Found by comparing the tables, so that a host that is right is left alone.
    """
    network: Any = getattr(model.model, "diffusion_model", None)
    if not getattr(network, "use_rotary_positional_embeddings", False) or network.patch_size_t is not None:
        return None
    right = partial(rotary_embeddings, network.attention_head_dim)
    # Of the class: while a repaired clone is loaded, the network itself has the right one.
    own = type(network)._get_rotary_emb
    cos, sin = (table.double() for table in own(network, *GRID, 1, torch.device("cpu")))
    own_cos, own_sin = (table.double() for table in right(*GRID, 1, torch.device("cpu")))
    # Turning all tokens alike changes no attention, so the angle between each token and the first is what counts.
    apart = (cos * cos[:1] + sin * sin[:1]) - (own_cos * own_cos[:1] + own_sin * own_sin[:1])
    return right if float(apart.abs().max()) > 1e-3 else None


def rotary_embeddings(
    channels: int, height: int, width: int, frames: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every token, each ``[frames height width, channels]``, for a grid of any size.

    A larger picture is squeezed into the trained grid, a smaller one spread over it, keeping its proportions.

    Source: ``CogVideoXPipeline`` of diffusers, which the authors of CogVideoX wrote and TIC-FT's build on.
    """
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    grid = (height, width)
    cos, sin = get_3d_rotary_pos_embed(channels, region(height, width), grid, frames, device=device)
    return cos, sin


def region(height: int, width: int) -> Region:
    """First and last corner, row and column, of a grid of tokens fitted into the middle of the trained one."""
    rows, columns = GRID
    scale = min(rows / height, columns / width)
    size = round(height * scale), round(width * scale)
    top, left = round((rows - size[0]) / 2), round((columns - size[1]) / 2)
    return (top, left), (top + size[0], left + size[1])
