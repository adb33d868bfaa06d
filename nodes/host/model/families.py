"""What differs between model families, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ....training.data.encoding import TextWidth
from ....training.data.known_frames import KnownFrames
from .ltx import connected_width
from .position_table import is_2b

POOLED = ("vector_in", "pooled_text_embeddings")  # layers for the pooled output of CLIP-L
Parts = tuple[tuple[str, int], ...]  # name of each part, and its rows over the layer's inputs


def _any_network(_network: Any) -> bool:
    return True


@dataclass(frozen=True)
class Family:
    """One family of video models, as the methods need to know it."""

    name: str  # as written into LoRA metadata and messages
    class_name: str  # of the host's model
    compression: int  # pixel frames a later latent frame stands for
    spatial: int  # pixels a latent pixel stands for, times the patch size
    attention: str = ""  # pattern of the attention projections in the network; empty: the pack does not train it
    time_patch: int = 1  # latent frames of a patch
    per_frame_timesteps: bool = False  # whether the network takes a timestep per frame
    takes_image: bool = False  # whether the class also takes an image, which a text-to-video run leaves out
    empty_image: bool = False  # whether the channels for that image stay empty in all methods
    known_frames: KnownFrames | None = None  # further inputs that hold the frames that are given; None: it has none
    like: str = ""  # family whose blocks it has, so that an AICL adapter of that one fits; empty: its own
    snr_shift: float = 1.0  # of the schedule of discrete timesteps
    blocks: str = r"blocks\.\d+"  # pattern of the transformer blocks in the network, where the pack trains it
    expert_boundary: float | None = None  # sigma from which on the high-noise expert of such a network works
    motion: str = ""  # pattern of the projections that decide where a token looks: one-shot motion is learned there
    classic: str = ""  # of the queries alone, which Tune-A-Video trains
    appearance: str = ""  # of attention and feed-forward, where the appearance of a clip is learned
    positions: str = ""  # method of the network that tells where tokens lie; empty: sparse latents cannot be told
    frame_rate: bool = False  # whether the network takes frames a second, which the host has 25 of without one
    per_token_timesteps: bool = False  # whether timesteps of frames are given token by token
    fused: tuple[tuple[str, Parts], ...] = ()  # patterns of projections that are several in one
    sound: bool = False  # whether the network takes a list of streams, of which the pack trains the first, the video
    changes_tokens: bool = False  # whether a block adds to the tokens it is given in place
    matches: Callable[[Any], bool] = _any_network  # among networks of the same class


def _patches_time(network: Any) -> bool:
    return bool(getattr(network, "patch_size_t", None))


def _wan_inputs(channels: int, known: KnownFrames | None = None) -> Callable[[Any], bool]:
    """Networks of Wan with so many input channels and layers for such CLIP features."""

    def matches(network: Any) -> bool:
        if network is None or network.patch_embedding.weight.shape[1] != channels:
            return False
        features = getattr(network, "img_emb", None)
        pair = getattr(features, "emb_pos", None) is not None
        return known is None or (features is not None, pair) == (known.vision > 0, known.pair)

    return matches


def _modulates_text(network: Any) -> bool:
    return bool(getattr(network, "cross_attention_adaln", False))


def _has_no_table(network: Any) -> bool:
    return getattr(network.patch_embed, "pos_embedding", None) is None


WAN_ATTENTION = r"blocks\.\d+\.(self_attn|cross_attn)\.(q|k|v|o)"
WAN: Any = {
    "compression": 4,
    "attention": WAN_ATTENTION,
    "per_frame_timesteps": True,
    "motion": r"blocks\.\d+\.(self_attn\.[qk]|cross_attn\.q)",
    "classic": r"blocks\.\d+\.(self_attn|cross_attn)\.q",
    "appearance": rf"{WAN_ATTENTION}|blocks\.\d+\.ffn\.[02]",
    "positions": "rope_encode",
}
WAN_I2V: Any = {**WAN, "class_name": "WAN21", "spatial": 16, "takes_image": True, "like": "Wan 2.1"}
CLIP_CHANNELS = 1280  # of CLIP ViT-H
FIRST = KnownFrames()
FIRST_SEEN, BOTH_SEEN = KnownFrames(CLIP_CHANNELS), KnownFrames(CLIP_CHANNELS, pair=True, last=True)
COGVIDEOX_ATTENTION = r"blocks\.\d+\.(q|k|v|attn_out)"
COGVIDEOX: Any = {
    "class_name": "CogVideoX",
    "compression": 4,
    "spatial": 16,
    "attention": COGVIDEOX_ATTENTION,
    # The one attention of a block is of text and video together.
    "motion": r"blocks\.\d+\.[qk]",
    "classic": r"blocks\.\d+\.q",
    "appearance": rf"{COGVIDEOX_ATTENTION}|blocks\.\d+\.(ff_proj|ff_out)",
}
LTX_ATTENTION = r"transformer_blocks\.\d+\.attn[12]\.to_(q|k|v|out\.0)"
LTX: Any = {
    "compression": 8,
    "spatial": 32,
    "attention": LTX_ATTENTION,
    "per_frame_timesteps": True,
    "blocks": r"transformer_blocks\.\d+",
    "motion": r"transformer_blocks\.\d+\.(attn1\.to_[qk]|attn2\.to_q)",
    "classic": r"transformer_blocks\.\d+\.attn[12]\.to_q",
    "appearance": rf"{LTX_ATTENTION}|transformer_blocks\.\d+\.ff\.net\.(0\.proj|2)",
    "frame_rate": True,
    "positions": "patchifier.get_latent_coords",
    "per_token_timesteps": True,
    "changes_tokens": True,
}
HUNYUAN_DOUBLE = r"double_blocks\.\d+\.(img|txt)"
HUNYUAN_ATTENTION = rf"{HUNYUAN_DOUBLE}_attn\.(qkv|proj)|single_blocks\.\d+\.linear[12]"
HUNYUAN_FUSED = rf"({HUNYUAN_DOUBLE}_attn\.qkv|single_blocks\.\d+\.linear1)"
QKV: Parts = (("q", 1), ("k", 1), ("v", 1))
HUNYUAN: Any = {
    "compression": 4,
    "spatial": 16,
    "blocks": r"(double|single)_blocks\.\d+",
    # The projections of a single block are those of its MLP, too.
    "attention": HUNYUAN_ATTENTION,
    "appearance": rf"{HUNYUAN_ATTENTION}|{HUNYUAN_DOUBLE}_mlp\.[02]",
    # The one attention of a block is of text and video together.
    "motion": rf"{HUNYUAN_FUSED}\.[qk]",
    "classic": rf"{HUNYUAN_FUSED}\.q",
    "fused": ((rf"{HUNYUAN_DOUBLE}_attn\.qkv", QKV), (r"single_blocks\.\d+\.linear1", (*QKV, ("mlp", 4)))),
    "changes_tokens": True,
    "positions": "img_ids",
}
KANDINSKY_ATTENTION = r"visual_transformer_blocks\.\d+\.(self|cross)_attention\.(to_query|to_key|to_value|out_layer)"
KANDINSKY: Any = {
    "compression": 4,
    "spatial": 16,
    "blocks": r"visual_transformer_blocks\.\d+",
    "attention": KANDINSKY_ATTENTION,
    "motion": r"visual_transformer_blocks\.\d+\.(self_attention\.to_(query|key)|cross_attention\.to_query)",
    "classic": r"visual_transformer_blocks\.\d+\.(self|cross)_attention\.to_query",
    "appearance": rf"{KANDINSKY_ATTENTION}|visual_transformer_blocks\.\d+\.feed_forward\.(in|out)_layer",
    "positions": "rope_encode_3d",
}

# Where several of a class match, the first one counts.
FAMILIES: tuple[Family, ...] = (
    # Also Wan 2.2 14B, whose two experts are such networks.
    # Their boundary is that of wan/configs/wan_t2v_A14B.py in Wan-Video/Wan2.2.
    Family("Wan 2.1", "WAN21", spatial=16, expert_boundary=0.875, matches=_wan_inputs(16), **WAN),
    # 16 channels of latents, as many of the known frames, and 4 that say which frames are known.
    # The boundary is that of wan/configs/wan_i2v_A14B.py.
    Family("Wan 2.2 I2V", expert_boundary=0.9, known_frames=FIRST, matches=_wan_inputs(36, FIRST), **WAN_I2V),
    # Their cross-attention takes CLIP features of what is given, too.
    Family("Wan 2.1 I2V", known_frames=FIRST_SEEN, matches=_wan_inputs(36, FIRST_SEEN), **WAN_I2V),
    Family("Wan 2.1 FLF2V", known_frames=BOTH_SEEN, matches=_wan_inputs(36, BOTH_SEEN), **WAN_I2V),
    Family("Wan 2.2 5B", "WAN22", spatial=32, takes_image=True, **WAN),
    Family("CogVideoX 1.5", time_patch=2, matches=_patches_time, **COGVIDEOX),
    # Its schedule is shifted: arXiv 2408.06072, and snr_shift_scale of its scheduler in diffusers.
    Family("CogVideoX 2B", snr_shift=3.0, positions="patch_embed.forward", matches=is_2b, **COGVIDEOX),
    Family("CogVideoX 5B", positions="_get_rotary_emb", matches=_has_no_table, **COGVIDEOX),
    Family("LTXV", "LTXV", **LTX),
    Family("LTX-2.3", "LTXAV", sound=True, matches=_modulates_text, **LTX),
    Family("LTX-2", "LTXAV", sound=True, **LTX),
    Family("HunyuanVideo", "HunyuanVideo", **HUNYUAN),
    # Its text-to-video and image-to-video files are alike: the image's channels stay empty.
    Family("HunyuanVideo 1.5", "HunyuanVideo15", takes_image=True, empty_image=True, **HUNYUAN),
    # The same holds for its files; the host puts an image in place of the first frame.
    Family("Kandinsky 5", "Kandinsky5", takes_image=True, empty_image=True, **KANDINSKY),
)


# What stops the pack at other video models of the host, for the sentence that refuses them.
OTHERS = {
    "MiniMaxH3": "which packs video and sound into one sequence with a noise level for each and takes one clip at a "
    "time, so that frames cannot be held at levels of their own; ",
    "HunyuanVideo15_SR_Distilled": "which enlarges a video that is there; ",
}


def find_family(model: Any) -> Family | None:
    """The family of a host MODEL, or None; subclasses with inputs of their own do not count."""
    class_name, network = type(model.model).__name__, getattr(model.model, "diffusion_model", None)
    same_class = (family for family in FAMILIES if family.class_name == class_name)
    return next((family for family in same_class if family.matches(network)), None)


def family_of(model: Any) -> Family:
    """The family of a host MODEL.

    Raises:
        ValueError: the pack does not know it, or it is an image-to-video variant.
    """
    family = find_family(model)
    names = ", ".join(known.name for known in FAMILIES)
    if family is None:
        kind = type(model.model).__name__
        raise ValueError(
            f"the model is a {kind}, {OTHERS.get(kind, '')}this node works with {names}; load one of these"
        )
    if getattr(model.model, "image_to_video", False) and not family.takes_image:
        raise ValueError(
            f"the model is an image-to-video {family.name}, this node needs the text-to-video one; load that instead"
        )
    return family


def blocks_like(name: str) -> str:
    """The family whose blocks the one of that name has, its own for most."""
    return next((family.like or name for family in FAMILIES if family.name == name), name)


def text_width(model: Any, name: str) -> TextWidth | None:
    """What a MODEL's network, called ``name`` in sentences, takes of a text encoder; None where no layer tells."""
    modules = dict(model.model.diffusion_model.named_modules())
    if "video_embeddings_connector" in modules:
        return TextWidth(connected_width(model.model.diffusion_model), name)
    # Wan's, CogVideoX's, LTXV's, HunyuanVideo's, Kandinsky's, and the first cross-attention's of a Stable Diffusion.
    keys = (key for key in modules if key.endswith("attn2.to_k"))
    names = (
        "text_embedding.0",
        "text_proj",
        "caption_projection.linear_1",
        "txt_in.input_embedder",
        "text_embeddings.in_layer",
        *keys,
    )
    layer = next((modules[key] for key in names if key in modules), None)
    channels = getattr(layer, "in_features", None)
    return TextWidth(channels, name, any(modules.get(key) is not None for key in POOLED)) if channels else None


def trainable(family: Family, network: Any) -> None:
    """Refuse a network that no LoRA can be trained on.

    Raises:
        ValueError: the pack does not train its family, or not in this form.
    """
    if not family.attention:
        names = ", ".join(known.name for known in FAMILIES if known.attention)
        raise ValueError(f"LoRAs are trained on {names}, the model is {family.name}; load one of those")
    if getattr(network, "time_r_in", None) is not None:
        raise ValueError(
            f"the model is a step-distilled {family.name}, which is also told the noise level of the next step, and "
            "training has none; load the one that is not distilled"
        )
