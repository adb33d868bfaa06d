"""Position embeddings of CogVideoX 2B for any size; the host takes the first rows of a table for 720 x 480.

A published file holds no such table: it is computed, and the host takes a file without one for CogVideoX 5B.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .forwards import NETWORK, Replaced, replace_forward

EMBED = "patch_embed"  # the host's name of the layer that adds them
FORWARD = f"{NETWORK}{EMBED}.forward"
# What the host itself adds; the rotary ones are those of a file without a table.
OFF = (
    f"{NETWORK}use_rotary_positional_embeddings",
    f"{NETWORK}{EMBED}.use_positional_embeddings",
    f"{NETWORK}{EMBED}.use_learned_positional_embeddings",
)
HEADS = 30  # of CogVideoX 2B; those of 5B are 48
GRID = (30, 45)  # rows and columns of tokens of 720 x 480
SPATIAL_SCALE = 1.875  # rows and columns are divided by it
ROUNDING = 2**-7  # of a table that was saved in bfloat16


def is_2b(network: Any) -> bool:
    """Whether a CogVideoX network has computed position embeddings; a table that was learned is another model's."""
    table = getattr(getattr(network, EMBED, None), "pos_embedding", None)
    if table is None:
        return getattr(network, "num_attention_heads", 0) == HEADS and network.patch_size_t is None
    start = network.max_text_seq_length
    first = table[0, start : start + GRID[0] * GRID[1]].detach().to("cpu", torch.float32)
    computed = _first_frame(network.dim)
    return first.shape == computed.shape and float((first - computed).abs().max()) <= ROUNDING


def with_computed_positions(clone: Any) -> None:
    """Put the position embeddings of the size at hand in place of the host's, on a clone of a CogVideoX 2B."""
    for name in OFF:
        clone.add_object_patch(name, False)
    replace_forward(clone, EMBED, _embed)


def own_patches(model: Any) -> set[str]:
    """Keys of the object patches that ``with_computed_positions`` has put on a MODEL; none: empty."""
    patch = model.object_patches.get(FORWARD)
    return {FORWARD, *OFF} if isinstance(patch, Replaced) and patch.forward is _embed else set()


def position_embeddings(channels: int, frames: int, height: int, width: int) -> Tensor:
    """What is added to the tokens ``[frames height width, channels]``, fp32 on the CPU.

    Source: ``CogVideoXPatchEmbed`` of diffusers.
    """
    from diffusers.models.embeddings import get_3d_sincos_pos_embed

    with torch.inference_mode(False):
        table = get_3d_sincos_pos_embed(channels, (width, height), frames, SPATIAL_SCALE, 1.0, output_type="pt")
        return table.flatten(0, 1).float()


_of_size = lru_cache(maxsize=1)(position_embeddings)  # all steps of a run have one size


@lru_cache(maxsize=2)
def _first_frame(channels: int) -> Tensor:
    return position_embeddings(channels, 1, *GRID)


def _embed(original: Callable[..., Tensor], text: Tensor, video: Tensor) -> Tensor:
    """Text tokens as they come, then the tokens of latents ``[B, T, C, h, w]`` with their position embeddings."""
    tokens = original(text, video)
    height, width = video.shape[3] // 2, video.shape[4] // 2  # a token is 2 x 2 latent pixels
    table = _of_size(tokens.shape[-1], video.shape[1], height, width).to(tokens)
    return torch.cat([tokens[:, : text.shape[1]], tokens[:, text.shape[1] :] + table], dim=1)
