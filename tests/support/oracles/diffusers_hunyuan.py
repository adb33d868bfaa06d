"""diffusers' HunyuanVideo networks with the weights of a tiny network of the host."""

from __future__ import annotations

import re
from typing import Any

import tiny_hunyuan
import torch
from diffusers import HunyuanVideo15Transformer3DModel, HunyuanVideoTransformer3DModel
from diffusers_networks import Names, Network, renamed
from torch import Tensor

GUIDANCE = 6000.0  # what its pipeline tells the network by default: 6, in thousandths
REFINER = "context_embedder.token_refiner.refiner_blocks"
QKV, ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
# Patterns of the host's fused layers: diffusers' layers that their rows are, in that order.
FUSED = (
    (r"^double_blocks\.(\d+)\.img_attn\.qkv", tuple(rf"transformer_blocks.\1.attn.{name}" for name in QKV)),
    (r"^double_blocks\.(\d+)\.txt_attn\.qkv", tuple(rf"transformer_blocks.\1.attn.{name}" for name in ADDED)),
    (r"^txt_in\.individual_token_refiner\.blocks\.(\d+)\.self_attn\.qkv",
     tuple(rf"{REFINER}.\1.attn.{name}" for name in QKV)),
    (r"^single_blocks\.(\d+)\.linear1",
     (*(rf"single_transformer_blocks.\1.attn.{name}" for name in QKV), r"single_transformer_blocks.\1.proj_mlp")),
)  # fmt: skip
SHARED: Names = (
    (r"^txt_in\.individual_token_refiner\.blocks", REFINER),
    (r"\.self_attn\.proj", ".attn.to_out.0"),
    (r"(refiner_blocks\.\d+)\.mlp\.0", r"\1.ff.net.0.proj"),
    (r"(refiner_blocks\.\d+)\.mlp\.2", r"\1.ff.net.2"),
    (r"(refiner_blocks\.\d+)\.adaLN_modulation\.1", r"\1.norm_out.linear"),
    (r"^txt_in\.input_embedder", "context_embedder.proj_in"),
    (r"^txt_in\.t_embedder\.", "context_embedder.time_text_embed.timestep_embedder."),
    (r"^txt_in\.c_embedder\.", "context_embedder.time_text_embed.text_embedder."),
    (r"^img_in\.proj", "x_embedder.proj"),
    (r"^final_layer\.linear", "proj_out"),
    (r"^final_layer\.adaLN_modulation\.1", "norm_out.linear"),
    (r"^double_blocks", "transformer_blocks"),
    (r"\.img_attn\.proj", ".attn.to_out.0"),
    (r"\.txt_attn\.proj", ".attn.to_add_out"),
    (r"\.img_attn\.norm\.query_norm", ".attn.norm_q"),
    (r"\.img_attn\.norm\.key_norm", ".attn.norm_k"),
    (r"\.txt_attn\.norm\.query_norm", ".attn.norm_added_q"),
    (r"\.txt_attn\.norm\.key_norm", ".attn.norm_added_k"),
    (r"\.img_mod\.lin", ".norm1.linear"),
    (r"\.txt_mod\.lin", ".norm1_context.linear"),
    (r"\.img_mlp\.0", ".ff.net.0.proj"),
    (r"\.img_mlp\.2", ".ff.net.2"),
    (r"\.txt_mlp\.0", ".ff_context.net.0.proj"),
    (r"\.txt_mlp\.2", ".ff_context.net.2"),
)
FIRST: Names = (
    (r"^time_in\.", "time_text_embed.timestep_embedder."),
    (r"^vector_in\.", "time_text_embed.text_embedder."),
    (r"^guidance_in\.", "time_text_embed.guidance_embedder."),
    (r"^single_blocks\.(\d+)\.norm\.query_norm", r"single_transformer_blocks.\1.attn.norm_q"),
    (r"^single_blocks\.(\d+)\.norm\.key_norm", r"single_transformer_blocks.\1.attn.norm_k"),
    (r"^single_blocks\.(\d+)\.modulation\.lin", r"single_transformer_blocks.\1.norm.linear"),
    (r"^single_blocks\.(\d+)\.linear2", r"single_transformer_blocks.\1.proj_out"),
)
LATER: Names = (
    (r"^time_in\.", "time_embed.timestep_embedder."),
    (r"^byt5_in\.layernorm", "context_embedder_2.norm"),
    (r"^byt5_in\.fc", "context_embedder_2.linear_"),
    (r"^cond_type_embedding", "cond_type_embed"),
    (r"^vision_in\.proj\.0", "image_embedder.norm_in"),
    (r"^vision_in\.proj\.1", "image_embedder.linear_1"),
    (r"^vision_in\.proj\.3", "image_embedder.linear_2"),
    (r"^vision_in\.proj\.4", "image_embedder.norm_out"),
)
ENDS: Names = ((r"\.in_layer\.", ".linear_1."), (r"\.out_layer\.", ".linear_2."))


def hunyuan(weights: dict[str, Tensor], pooled: Tensor) -> Network:
    """HunyuanVideo of the sizes of ``tiny_hunyuan``, with one pooled output ``[1, 768]`` for all clips."""
    config = tiny_hunyuan.CONFIG
    network = HunyuanVideoTransformer3DModel(
        num_attention_heads=1, attention_head_dim=tiny_hunyuan.HEAD, num_layers=config["depth"],
        num_single_layers=config["depth_single_blocks"], text_embed_dim=tiny_hunyuan.TEXT_DIM,
    ).eval()  # fmt: skip
    network.load_state_dict(_theirs(weights, (*SHARED, *FIRST, *ENDS)))

    def answer(xt: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        mask, guidance = torch.ones(text.shape[:2]), torch.full((len(xt),), GUIDANCE)
        given = (text, mask, pooled.expand(len(xt), -1))
        return network(xt, timestep, *given, guidance=guidance, return_dict=False)[0]

    return answer


def hunyuan_15(weights: dict[str, Tensor], byt5: Tensor | None = None, image: Tensor | None = None) -> Network:
    """HunyuanVideo 1.5 of the sizes of ``tiny_hunyuan``; the image's channels are empty, as for a video from a text.

    Args:
        weights: of the host's network.
        byt5: tokens ``[1, N, 1472]`` of quoted words; None leaves them out.
        image: SigLIP features ``[1, N, 1152]``; None leaves them out.
    """
    config = {**tiny_hunyuan.CONFIG, **tiny_hunyuan.LATER}
    network = HunyuanVideo15Transformer3DModel(
        num_attention_heads=1, attention_head_dim=tiny_hunyuan.HEAD, num_layers=config["depth"],
        text_embed_dim=tiny_hunyuan.TEXT_DIM,
    ).eval()  # fmt: skip
    network.load_state_dict(_theirs(weights, (*SHARED, *LATER, *ENDS)))
    quoted = torch.zeros(1, 2, 1472) if byt5 is None else byt5
    seen = torch.zeros(1, 2, 1152) if image is None else image

    def answer(xt: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        count = len(xt)
        frames = torch.cat([xt, xt.new_zeros(count, 33, *xt.shape[2:])], dim=1)
        masks = torch.ones(text.shape[:2]), torch.full((count, quoted.shape[1]), float(byt5 is not None))
        return network(
            frames, timestep, text, masks[0], None, quoted.expand(count, -1, -1), masks[1],
            seen.expand(count, -1, -1), return_dict=False,
        )[0]  # fmt: skip

    return answer


def of(tiny: Any, weights: dict[str, Tensor]) -> Network:
    """The network of a family of ``tiny_families``, with what its conditioning carries besides the text."""
    if tiny.name == "HunyuanVideo":
        return hunyuan(weights, tiny.extra["pooled_output"])
    return hunyuan_15(weights, tiny.extra["conditioning_byt5small"])


def _theirs(weights: dict[str, Tensor], names: Names) -> dict[str, Tensor]:
    """The weights in diffusers' names: fused layers taken apart, scale and shift of the last layer swapped."""
    found: dict[str, Tensor] = {}
    for key, value in weights.items():
        parts = next(((pattern, layers) for pattern, layers in FUSED if re.match(pattern, key)), None)
        if parts is None:
            last = key.startswith("final_layer.adaLN_modulation")
            found[key] = torch.cat(value.chunk(2)[::-1]) if last else value
            continue
        pattern, layers = parts
        side = tiny_hunyuan.HEAD
        sizes = [side] * 3 + [value.shape[0] - 3 * side] * (len(layers) - 3)
        for layer, rows in zip(layers, value.split(sizes), strict=True):
            found[re.sub(pattern, layer, key)] = rows
    return renamed(found, names)
