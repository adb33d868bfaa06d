"""Layers a LoRA can hold in each family: the host's names and diffusers'."""

from __future__ import annotations

from collections.abc import Iterable

from .table import KeyTable, Parts


def _of_blocks(host: str, diffusers: str, layers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{host}.{{}}.{ours}", f"{diffusers}.{{}}.{theirs}") for ours, theirs in layers)


_WAN_ATTENTION = (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"))
_WAN_BLOCK = (
    *((f"self_attn.{ours}", f"attn1.{theirs}") for ours, theirs in _WAN_ATTENTION),
    *((f"cross_attn.{ours}", f"attn2.{theirs}") for ours, theirs in _WAN_ATTENTION),
    ("cross_attn.k_img", "attn2.add_k_proj"),
    ("cross_attn.v_img", "attn2.add_v_proj"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
)
# Source: diffusers models/transformers/transformer_wan.py, the host's comfy/ldm/wan/model.py.
WAN = KeyTable(
    "Wan",
    (
        *_of_blocks("blocks", "blocks", _WAN_BLOCK),
        ("patch_embedding", "patch_embedding"),
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("head.head", "proj_out"),
    ),
    marks=("blocks.{}.self_attn.q", "blocks.{}.cross_attn.q"),
)

_COGVIDEOX_BLOCK = (
    ("q", "attn1.to_q"),
    ("k", "attn1.to_k"),
    ("v", "attn1.to_v"),
    ("attn_out", "attn1.to_out.0"),
    ("ff_proj", "ff.net.0.proj"),
    ("ff_out", "ff.net.2"),
    ("norm1.linear", "norm1.linear"),
    ("norm2.linear", "norm2.linear"),
)
# Source: diffusers models/transformers/cogvideox_transformer_3d.py, the host's comfy/ldm/cogvideo/model.py.
COGVIDEOX = KeyTable(
    "CogVideoX",
    (
        *_of_blocks("blocks", "transformer_blocks", _COGVIDEOX_BLOCK),
        ("patch_embed.proj", "patch_embed.proj"),
        ("patch_embed.text_proj", "patch_embed.text_proj"),
        ("time_embedding_linear_1", "time_embedding.linear_1"),
        ("time_embedding_linear_2", "time_embedding.linear_2"),
        ("ofs_embedding_linear_1", "ofs_embedding.linear_1"),
        ("ofs_embedding_linear_2", "ofs_embedding.linear_2"),
        ("norm_out.linear", "norm_out.linear"),
        ("proj_out", "proj_out"),
    ),
    marks=("blocks.{}.q", "blocks.{}.attn_out"),
    widths=(1920, 3072),  # 2B; 5B and 1.5
)

# LTX-2's streams of video and sound, and its attention between them; LTXV has the first two and no gates.
_LTX_ATTENTION = ("attn1", "attn2", "audio_attn1", "audio_attn2", "audio_to_video_attn", "video_to_audio_attn")


def _ltx_text(part: str) -> tuple[str, ...]:
    return (f"{part}caption_projection.linear_1", f"{part}caption_projection.linear_2", f"{part}proj_out")


_LTXV_BLOCK = tuple(
    (name, name)
    for name in (
        *(f"{part}.{layer}" for part in _LTX_ATTENTION for layer in ("to_q", "to_k", "to_v", "to_out.0")),
        *(f"{part}.to_gate_logits" for part in _LTX_ATTENTION),
        *(f"{part}.net.{layer}" for part in ("ff", "audio_ff") for layer in ("0.proj", "2")),
    )
)
_LTX_TIMESTEPS = (  # what makes modulation of a timestep
    ("adaln_single", "time_embed"),
    ("audio_adaln_single", "audio_time_embed"),
    ("prompt_adaln_single", "prompt_adaln"),
    ("audio_prompt_adaln_single", "audio_prompt_adaln"),
    ("av_ca_video_scale_shift_adaln_single", "av_cross_attn_video_scale_shift"),
    ("av_ca_audio_scale_shift_adaln_single", "av_cross_attn_audio_scale_shift"),
    ("av_ca_a2v_gate_adaln_single", "av_cross_attn_video_a2v_gate"),
    ("av_ca_v2a_gate_adaln_single", "av_cross_attn_audio_v2a_gate"),
)
# Source: diffusers models/transformers/transformer_ltx.py and transformer_ltx2.py, the host's
# comfy/ldm/lightricks/model.py and av_model.py.
LTXV = KeyTable(
    "LTXV",
    (
        *_of_blocks("transformer_blocks", "transformer_blocks", _LTXV_BLOCK),
        ("patchify_proj", "proj_in"),
        ("audio_patchify_proj", "audio_proj_in"),
        *(
            (f"{ours}.{layer}", f"{theirs}.{layer}")
            for ours, theirs in _LTX_TIMESTEPS
            for layer in ("emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_2", "linear")
        ),
        *((name, name) for part in ("", "audio_") for name in _ltx_text(part)),
    ),
    marks=("patchify_proj", "transformer_blocks.{}.attn2.to_q"),
    widths=(2048, 4096),  # 2B; 13B
)

_REFINER, _DIFFUSERS_REFINER = "txt_in.individual_token_refiner.blocks", "context_embedder.token_refiner.refiner_blocks"
_HUNYUAN_DOUBLE = (
    ("img_attn.proj", "attn.to_out.0"),
    ("txt_attn.proj", "attn.to_add_out"),
    ("img_mod.lin", "norm1.linear"),
    ("txt_mod.lin", "norm1_context.linear"),
    ("img_mlp.0", "ff.net.0.proj"),
    ("img_mlp.2", "ff.net.2"),
    ("txt_mlp.0", "ff_context.net.0.proj"),
    ("txt_mlp.2", "ff_context.net.2"),
)
_HUNYUAN_REFINER = (
    ("self_attn.proj", "attn.to_out.0"),
    ("mlp.0", "ff.net.0.proj"),
    ("mlp.2", "ff.net.2"),
    ("adaLN_modulation.1", "norm_out.linear"),
)
_HUNYUAN_SINGLE = (("linear2", "proj_out"), ("modulation.lin", "norm.linear"))
_TEXT_TIME = "context_embedder.time_text_embed"


def _embedder(host: str, diffusers: str) -> tuple[tuple[str, str], ...]:
    return ((f"{host}.in_layer", f"{diffusers}.linear_1"), (f"{host}.out_layer", f"{diffusers}.linear_2"))


def _thirds(block: str, *names: str) -> Parts:
    return tuple((f"{block}.{{}}.attn.{name}", 1) for name in names)


# What both versions have, and its parts.
_HUNYUAN_BOTH = (
    *_of_blocks("double_blocks", "transformer_blocks", _HUNYUAN_DOUBLE),
    *_of_blocks(_REFINER, _DIFFUSERS_REFINER, _HUNYUAN_REFINER),
    ("img_in.proj", "x_embedder.proj"),
    ("txt_in.input_embedder", "context_embedder.proj_in"),
    *_embedder("txt_in.t_embedder", f"{_TEXT_TIME}.timestep_embedder"),
    *_embedder("txt_in.c_embedder", f"{_TEXT_TIME}.text_embedder"),
    ("final_layer.linear", "proj_out"),
    ("final_layer.adaLN_modulation.1", "norm_out.linear"),
)
_HUNYUAN_FUSED = (
    ("double_blocks.{}.img_attn.qkv", _thirds("transformer_blocks", "to_q", "to_k", "to_v")),
    ("double_blocks.{}.txt_attn.qkv", _thirds("transformer_blocks", "add_q_proj", "add_k_proj", "add_v_proj")),
    (f"{_REFINER}.{{}}.self_attn.qkv", _thirds(_DIFFUSERS_REFINER, "to_q", "to_k", "to_v")),
)
_HUNYUAN_MARKS = ("double_blocks.{}.img_attn.qkv", f"{_REFINER}.{{}}.self_attn.qkv")
# Names of the authors' code, which musubi-tuner and diffusion-pipe write.
_HUNYUAN_OTHERS = (
    *(
        (f"double_blocks.{{}}.{side}_{ours}", f"double_blocks.{{}}.{side}_{theirs}")
        for side in ("img", "txt")
        for ours, theirs in (
            ("attn.qkv", "attn_qkv"),
            ("attn.proj", "attn_proj"),
            ("mod.lin", "mod.linear"),
            ("mlp.0", "mlp.fc1"),
            ("mlp.2", "mlp.fc2"),
        )
    ),
    *(
        (f"{_REFINER}.{{}}.{ours}", f"{_REFINER}.{{}}.{theirs}")
        for ours, theirs in (
            ("self_attn.qkv", "self_attn_qkv"),
            ("self_attn.proj", "self_attn_proj"),
            ("mlp.0", "mlp.fc1"),
            ("mlp.2", "mlp.fc2"),
        )
    ),
    *(
        (f"{place}.{ours}", f"{place}.mlp.{theirs}")
        for place in ("txt_in.t_embedder", "time_in")
        for ours, theirs in (("in_layer", 0), ("out_layer", 2))
    ),
    ("txt_in.c_embedder.in_layer", "txt_in.c_embedder.linear_1"),
    ("txt_in.c_embedder.out_layer", "txt_in.c_embedder.linear_2"),
)
# Source: diffusers models/transformers/transformer_hunyuan_video.py, the host's comfy/ldm/hunyuan_video/model.py and
# comfy/ldm/flux/layers.py; the swapped halves are scale and shift.
HUNYUAN = KeyTable(
    "HunyuanVideo",
    (
        *_HUNYUAN_BOTH,
        *_of_blocks("single_blocks", "single_transformer_blocks", _HUNYUAN_SINGLE),
        *_embedder("time_in", "time_text_embed.timestep_embedder"),
        *_embedder("vector_in", "time_text_embed.text_embedder"),
        *_embedder("guidance_in", "time_text_embed.guidance_embedder"),
    ),
    marks=_HUNYUAN_MARKS,
    fused=(
        *_HUNYUAN_FUSED,
        (
            "single_blocks.{}.linear1",  # its last rows are the MLP's, four times as wide
            (
                *_thirds("single_transformer_blocks", "to_q", "to_k", "to_v"),
                ("single_transformer_blocks.{}.proj_mlp", 4),
            ),
        ),
    ),
    swapped=("final_layer.adaLN_modulation.1",),
    others=(
        *_HUNYUAN_OTHERS,
        ("single_blocks.{}.modulation.lin", "single_blocks.{}.modulation.linear"),
        ("guidance_in.in_layer", "guidance_in.mlp.0"),
        ("guidance_in.out_layer", "guidance_in.mlp.2"),
    ),
)
# Version 1.5 has no single blocks, and layers for the texts and images that it is given besides. Its authors' code has
# three projections in place of one, and so have LoRAs that musubi-tuner makes of it.
# Source: diffusers models/transformers/transformer_hunyuan_video15.py.
HUNYUAN_15 = KeyTable(
    "HunyuanVideo 1.5",
    (
        *_HUNYUAN_BOTH,
        *_embedder("time_in", "time_embed.timestep_embedder"),
        *((f"byt5_in.fc{i}", f"context_embedder_2.linear_{i}") for i in (1, 2, 3)),
        ("vision_in.proj.1", "image_embedder.linear_1"),
        ("vision_in.proj.3", "image_embedder.linear_2"),
    ),
    marks=(*_HUNYUAN_MARKS, "byt5_in.fc1"),
    fused=_HUNYUAN_FUSED,
    swapped=("final_layer.adaLN_modulation.1",),
    others=_HUNYUAN_OTHERS,
    other_parts=tuple(
        (f"transformer_blocks.{{}}.attn.{form.format(part)}", f"double_blocks.{{}}.{side}_attn_{part}")
        for side, form in (("img", "to_{}"), ("txt", "add_{}_proj"))
        for part in "qkv"
    ),
)

_KANDINSKY_LAYERS = ("to_query", "to_key", "to_value", "out_layer")


def _kandinsky_block(modulation: str, *attentions: str) -> tuple[str, ...]:
    attention = (f"{part}.{layer}" for part in attentions for layer in _KANDINSKY_LAYERS)
    return (f"{modulation}.out_layer", *attention, "feed_forward.in_layer", "feed_forward.out_layer")


# All have one name for each layer: diffusers, the host, and musubi-tuner with underscores.
# Source: diffusers models/transformers/transformer_kandinsky.py, the host's comfy/ldm/kandinsky5/model.py.
KANDINSKY = KeyTable(
    "Kandinsky 5",
    tuple(
        (name, name)
        for name in (
            *(
                f"visual_transformer_blocks.{{}}.{layer}"
                for layer in _kandinsky_block("visual_modulation", "self_attention", "cross_attention")
            ),
            *(
                f"text_transformer_blocks.{{}}.{layer}"
                for layer in _kandinsky_block("text_modulation", "self_attention")
            ),
            *(f"{part}_embeddings.in_layer" for part in ("time", "text", "pooled_text", "visual")),
            "time_embeddings.out_layer",
            "out_layer.modulation.out_layer",
            "out_layer.out_layer",
        )
    ),
    marks=("visual_transformer_blocks.{}.self_attention.to_query", "visual_embeddings.in_layer"),
)

TABLES = (WAN, COGVIDEOX, LTXV, HUNYUAN, HUNYUAN_15, KANDINSKY)
