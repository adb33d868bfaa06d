"""diffusers' networks with the weights of a tiny network of the host, and the schedulers they are published with."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tiny_wan
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel, WanTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from torch import Tensor

# Frames [B, C, F, h, w], timesteps [B] in 0 .. 1000 and text [B, N, D] to what the network predicts, like the frames.
Network = Callable[..., Tensor]
Prepare = Callable[[Any], None]  # puts hooks on a network of diffusers, which then keeps what a gradient needs
Names = tuple[tuple[str, str], ...]  # patterns of the host's names -> diffusers' names

WAN_NAMES: Names = (
    (r"^img_emb\.proj\.0", "condition_embedder.image_embedder.norm1"),
    (r"^img_emb\.proj\.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    (r"^img_emb\.proj\.3", "condition_embedder.image_embedder.ff.net.2"),
    (r"^img_emb\.proj\.4", "condition_embedder.image_embedder.norm2"),
    (r"^img_emb\.emb_pos", "condition_embedder.image_embedder.pos_embed"),
    (r"\.([kv])_img\.", r".add_\1_proj."),
    (r"\.norm_k_img\.", ".norm_added_k."),
    (r"^text_embedding\.0", "condition_embedder.text_embedder.linear_1"),
    (r"^text_embedding\.2", "condition_embedder.text_embedder.linear_2"),
    (r"^time_embedding\.0", "condition_embedder.time_embedder.linear_1"),
    (r"^time_embedding\.2", "condition_embedder.time_embedder.linear_2"),
    (r"^time_projection\.1", "condition_embedder.time_proj"),
    (r"^head\.head", "proj_out"),
    (r"^head\.modulation", "scale_shift_table"),
    (r"\.modulation$", ".scale_shift_table"),
    (r"\.norm3\.", ".norm2."),
    (r"\.self_attn\.", ".attn1."),
    (r"\.cross_attn\.", ".attn2."),
    (r"\.([qkv])\.", r".to_\1."),
    (r"\.o\.", ".to_out.0."),
    (r"\.ffn\.0", ".ffn.net.0.proj"),
    (r"\.ffn\.2", ".ffn.net.2"),
)
COGVIDEOX_NAMES: Names = (
    (r"^blocks\.", "transformer_blocks."),
    (r"^time_embedding_linear_", "time_embedding.linear_"),
    (r"\.([qkv])\.", r".attn1.to_\1."),
    (r"\.(norm_[qk])\.", r".attn1.\1."),
    (r"\.attn_out\.", ".attn1.to_out.0."),
    (r"\.ff_proj\.", ".ff.net.0.proj."),
    (r"\.ff_out\.", ".ff.net.2."),
)
POSITIONS = "patch_embed.pos_embedding"
HEADS_2B = 30
TOKENS = 5  # of the texts of tests
SNR_SHIFT = {"CogVideoX 5B": 1.0, "CogVideoX 2B": 3.0, "CogVideoX 1.5": 1.0}  # of the published schedulers


def with_lora(weights: dict[str, Tensor], lora: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with a LoRA in the host's names added: ``W + alpha / r up down``."""
    merged = dict(weights)
    for key in [key for key in lora if key.endswith(".lora_up.weight")]:
        layer = key.removesuffix(".lora_up.weight")
        up, down, alpha = lora[key], lora[f"{layer}.lora_down.weight"], lora[f"{layer}.alpha"]
        name = layer.removeprefix("diffusion_model.") + ".weight"
        merged[name] = merged[name] + alpha / up.shape[1] * up @ down
    return merged


def renamed(weights: dict[str, Tensor], names: Names) -> dict[str, Tensor]:
    """The weights in diffusers' names."""
    found = {}
    for name, value in weights.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        found[name] = value
    return found


def wan(weights: dict[str, Tensor], prepare: Prepare | None = None) -> Network:
    """Wan of the size of ``tiny_wan``, with the input channels and the layers for CLIP features that the weights have.

    Where it takes CLIP features, ``image [B, N, D]``, diffusers' network wants a text of 512 tokens.
    """
    config, features = tiny_wan.CONFIG, weights.get("img_emb.proj.1.weight")
    pair = weights.get("img_emb.emb_pos")
    network = WanTransformer3DModel(
        num_attention_heads=config["num_heads"],
        attention_head_dim=config["dim"] // config["num_heads"],
        text_dim=config["text_dim"],
        freq_dim=config["freq_dim"],
        ffn_dim=config["ffn_dim"],
        num_layers=config["num_layers"],
        in_channels=weights["patch_embedding.weight"].shape[1],
        out_channels=weights["head.head.weight"].shape[0] // 4,
        image_dim=None if features is None else features.shape[1],
        added_kv_proj_dim=None if features is None else config["dim"],
        pos_embed_seq_len=None if pair is None else pair.shape[1],
    ).eval()
    network.load_state_dict(renamed(weights, WAN_NAMES))
    if prepare is not None:
        prepare(network.requires_grad_(False))

    def answer(xt: Tensor, timestep: Tensor, text: Tensor, image: Tensor | None = None) -> Tensor:
        if image is not None and pair is not None:  # one picture after the other, as its pipeline stacks them
            image = image.reshape(2 * len(image), -1, image.shape[2])
        with torch.set_grad_enabled(prepare is not None):
            return network(xt, timestep, text, image, return_dict=False)[0]

    return answer


def cogvideox(weights: dict[str, Tensor], host: Any, prepare: Prepare | None = None, tokens: int = TOKENS) -> Network:
    """CogVideoX of the sizes of ``host``, the host's bare network, for texts of so many tokens.

    The tokens lie where diffusers puts them, whatever the host does.
    """
    head, time_patch = host.attention_head_dim, host.patch_size_t
    rotary = POSITIONS not in weights and host.num_attention_heads != HEADS_2B
    network = CogVideoXTransformer3DModel(
        num_attention_heads=host.num_attention_heads,
        attention_head_dim=head,
        time_embed_dim=host.time_embedding_linear_1.out_features,
        text_embed_dim=host.patch_embed.text_proj.in_features,
        num_layers=len(host.blocks),
        patch_size_t=time_patch,
        use_rotary_positional_embeddings=rotary,
        max_text_seq_length=tokens,
    ).eval()
    # The published 2B computes the table, so that it is no weight of it.
    weights = {name: value for name, value in weights.items() if name != POSITIONS}
    network.load_state_dict(renamed(weights, COGVIDEOX_NAMES))
    if prepare is not None:
        prepare(network.requires_grad_(False))

    def answer(xt: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        frames, height, width = xt.shape[2] // (time_patch or 1), xt.shape[3] // 2, xt.shape[4] // 2
        turned = rope(head, frames, height, width, time_patch) if rotary else None
        with torch.set_grad_enabled(prepare is not None):
            frames_first = xt.transpose(1, 2)
            return network(frames_first, text, timestep, image_rotary_emb=turned, return_dict=False)[0].transpose(1, 2)

    return answer


def rope(head: int, frames: int, height: int, width: int, time_patch: int | None = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the tokens, each ``[frames height width, head]``, as the pipeline of CogVideoX has them."""
    grid = {"embed_dim": head, "grid_size": (height, width), "temporal_size": frames}
    if time_patch:
        return get_3d_rotary_pos_embed(crops_coords=None, grid_type="slice", max_size=(height, width), **grid)
    return get_3d_rotary_pos_embed(crops_coords=get_resize_crop_region_for_grid((height, width), 45, 30), **grid)


def cogvideox_scheduler(family: str) -> CogVideoXDDIMScheduler:
    """DDIM with the settings of the family's published checkpoint."""
    return CogVideoXDDIMScheduler(
        beta_schedule="scaled_linear", prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", clip_sample=False, snr_shift_scale=SNR_SHIFT[family],
    )  # fmt: skip
