"""The shape of the toy image model: a Stable Diffusion 1.x network and its VAE, small, of the host's own classes.

Group norms of these classes have 32 groups. Where one stands in the main path (the ends of both halves of the VAE),
three channels a group are the least that lets a plain picture keep its brightness: of one or two channels a norm
leaves nothing but signs.
"""

from __future__ import annotations

from typing import Any

from .text import WIDTH as TEXT_WIDTH

CHANNELS = 4  # of a latent
STRIDE = 4  # pixels a latent; the class has 8, which would leave 8 x 8 latents of a toy picture
SCALE = 0.18215  # the class multiplies what its VAE gives by this
NOISE = 0.05  # std of the VAE's posterior, as a share of the latents' own

# What the host reads off a file of the full size; 64 channels on grids of 16 x 16, 8 x 8 and 4 x 4. Attention between
# 256 positions would be half the cost of a training step, so it starts at 8 x 8.
UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "model_channels": 64,
    "num_res_blocks": [1, 1, 1],
    "channel_mult": [1, 1, 1],
    "transformer_depth": [0, 1, 1],
    "transformer_depth_output": [0, 0, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "context_dim": TEXT_WIDTH,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "legacy": False,
}
HEADS: dict[str, int] = {"num_heads": 8, "num_head_channels": -1}  # of the whole class


def vae_parameters() -> dict[str, Any]:
    """Arguments of the host's ``AutoencoderKL``; a new dict each time, the host takes things out of it."""
    shared = {
        "double_z": True,
        "z_channels": CHANNELS,
        "resolution": 64,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {
        "ddconfig": {**shared, "ch_mult": [1, 1, 3], "num_res_blocks": 1},
        "decoder_ddconfig": {**shared, "ch_mult": [3, 2, 2], "num_res_blocks": 0},
        "embed_dim": CHANNELS,
    }
