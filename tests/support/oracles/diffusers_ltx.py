"""diffusers' LTX networks with the weights of a tiny network of the host; they let gradients through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tiny_ltx
import torch
from diffusers import LTX2VideoTransformer3DModel, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2ConnectorTransformer1d
from diffusers_networks import Names, Network, renamed
from torch import Tensor
from torch.func import functional_call

NAMES: Names = (
    (r"^patchify_proj\.", "proj_in."),
    (r"^adaln_single\.", "time_embed."),
    (r"\.([qk])_norm\.", r".norm_\1."),
    (r"^audio_patchify_proj\.", "audio_proj_in."),
    (r"^audio_adaln_single\.", "audio_time_embed."),
    (r"^(audio_)?prompt_adaln_single\.", r"\1prompt_adaln."),
    (r"^av_ca_(video|audio)_scale_shift_adaln_single\.", r"av_cross_attn_\1_scale_shift."),
    (r"^av_ca_a2v_gate_adaln_single\.", "av_cross_attn_video_a2v_gate."),
    (r"^av_ca_v2a_gate_adaln_single\.", "av_cross_attn_audio_v2a_gate."),
    (r"\.scale_shift_table_a2v_ca_(video|audio)$", r".\1_a2v_cross_attn_scale_shift_table"),
)
CONNECTOR_NAMES: Names = ((r"^transformer_1d_blocks\.", "transformer_blocks."), (r"\.([qk])_norm\.", r".norm_\1."))
PADDED = 1024  # tokens of a text that its registers have filled up


def ltxv(weights: dict[str, Tensor], frame_rate: float) -> Network:
    """LTXV of the sizes of ``tiny_ltx``. Timesteps are ``[B]`` or ``[B, T h w]``; the answer also takes a text mask."""
    network = LTXVideoTransformer3DModel(**tiny_ltx.LTXV).eval()
    spacing = (8 / frame_rate, 32, 32)  # seconds and pixels between tokens, as its pipeline has them

    def answer(xt: Tensor, timestep: Tensor, text: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = torch.ones(text.shape[:2]) if mask is None else mask.expand(len(xt), -1)
        given = (as_tokens(xt), text, timestep, mask, *xt.shape[2:], spacing)
        found = functional_call(network, renamed(weights, NAMES), given, {"return_dict": False}, strict=True)
        return as_frames(found[0], xt)

    return answer


def ltx2(weights: dict[str, Tensor], frame_rate: float, sizes: dict[str, Any]) -> Network:
    """LTX-2 of the sizes of ``tiny_ltx`` without sound: its streams are isolated, and the sound's is a single zero.

    The text goes through diffusers' connectors first. Timesteps are ``[B]`` or ``[B, T h w]``.
    """
    network = ltx2_network(sizes).eval()
    own = {name: value for name, value in weights.items() if "_embeddings_connector." not in name}

    def answer(xt: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        video, sound = connected(weights, sizes, text)
        given = (as_tokens(xt), torch.zeros(len(xt), 1, xt.shape[1]), video, sound, timestep)
        level = timestep if timestep.ndim == 1 else timestep.amax(1)
        more = {
            "audio_timestep": level, "sigma": level, "fps": frame_rate, "audio_num_frames": 1,
            "num_frames": xt.shape[2], "height": xt.shape[3], "width": xt.shape[4], "isolate_modalities": True,
            "return_dict": False,
        }  # fmt: skip
        return as_frames(functional_call(network, renamed(own, NAMES), given, more, strict=True)[0], xt)

    return answer


def ltx2_network(sizes: dict[str, Any]) -> LTX2VideoTransformer3DModel:
    """The bare network of such sizes."""
    newer = sizes is tiny_ltx.LTX_23
    names = ("num_attention_heads", "attention_head_dim", "cross_attention_dim")
    names += tuple(f"audio_{name}" for name in names)
    return LTX2VideoTransformer3DModel(
        **{name: sizes[name] for name in (*names, "num_layers", "caption_channels", "rope_type")},
        gated_attn=newer, audio_gated_attn=newer, cross_attn_mod=newer, audio_cross_attn_mod=newer,
        use_prompt_embeddings=not newer,
    )  # fmt: skip


def connected(weights: dict[str, Tensor], sizes: dict[str, Any], text: Tensor) -> tuple[Tensor, Tensor]:
    """What the connectors make of the features of a text encoder, filled up with their registers: for both streams."""
    heads, channels = sizes["connector_num_attention_heads"], sizes["connector_attention_head_dim"]
    apart = "audio_connector_attention_head_dim" in sizes
    texts = text.split(sizes["cross_attention_dim"], 2) if apart else (text, text)
    found = []
    for kind, part, head in zip(
        ("video", "audio"), texts, (channels, sizes.get("audio_connector_attention_head_dim", channels)), strict=True
    ):
        connector = LTX2ConnectorTransformer1d(
            heads, head, rope_type=sizes["rope_type"], gated_attention=sizes is tiny_ltx.LTX_23
        )
        prefix = f"{kind}_embeddings_connector."
        mine = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        padded = torch.zeros(len(part), PADDED, part.shape[2])
        padded[:, : part.shape[1]] = part
        mask = torch.zeros(len(part), 1, 1, PADDED)
        mask[..., part.shape[1] :] = torch.finfo(mask.dtype).min
        found.append(functional_call(connector, renamed(mine, CONNECTOR_NAMES), (padded, mask), strict=True)[0])
    return found[0], found[1]


def as_tokens(x: Tensor) -> Tensor:
    """Frames ``[B, C, T, h, w]`` as tokens ``[B, T h w, C]``."""
    return x.flatten(2).transpose(1, 2)


def as_frames(tokens: Tensor, like: Tensor) -> Tensor:
    """Tokens as frames of the shape of ``like``."""
    return tokens.transpose(1, 2).reshape(like.shape)


OF: dict[str, Callable[[dict[str, Tensor], float], Network]] = {  # by the name in the pack's table
    "LTXV": ltxv,
    "LTX-2": partial(ltx2, sizes=tiny_ltx.LTX_2),
    "LTX-2.3": partial(ltx2, sizes=tiny_ltx.LTX_23),
}


def of(name: str, weights: dict[str, Tensor], frame_rate: float, mask: Tensor | None = None) -> Network:
    """The network of a family for texts of one mask; one timestep and one text stand for all clips."""
    network = OF[name](weights, frame_rate)
    more = () if mask is None else (mask,)
    return lambda x, t, text: network(x, t.expand(len(x)), text.expand(len(x), -1, -1), *more)
