"""The public models by their sizes: networks of the host's classes at their true size, whose weights take no memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Public:
    """A public model's sizes, from its configuration file."""

    name: str
    family: str  # of the host's classes: wan or cogvideox
    width: int
    inner: int  # of the feed-forward
    heads: int
    blocks: int
    channels: int
    text: int  # channels of a caption's tokens
    tokens: int  # of a caption
    latent: tuple[int, int]  # height and width of a latent frame
    pixels: str


MODELS = (
    Public("Wan 2.1 1.3B", "wan", 1536, 8960, 12, 30, 16, 4096, 512, (60, 60), "480 x 480"),
    Public("Wan 2.2 5B", "wan", 3072, 14336, 24, 30, 48, 4096, 512, (40, 40), "640 x 640"),
    Public("Wan 2.1 14B; Wan 2.2 14B each", "wan", 5120, 13824, 40, 40, 16, 4096, 512, (60, 60), "480 x 480"),
    Public("CogVideoX 5B", "cogvideox", 3072, 12288, 48, 42, 16, 4096, 226, (60, 60), "480 x 480"),
)


def true_size(public: Public, dtype: Any, device: str = "meta", blocks: int | None = None) -> Any:
    """A host MODEL of the true size, which computes in bf16 or fp32; on ``meta`` its weights have no numbers.

    Args:
        public: Which model.
        dtype: torch's type of its stored weights; scaled fp8 has as many bytes as fp8.
        device: Where the weights lie, and where the host would load them to.
        blocks: In place of all of its blocks.
    """
    import comfy.model_detection
    import comfy.model_patcher
    import torch

    state, metadata = weights(public, dtype, blocks or public.blocks)
    config: Any = comfy.model_detection.model_config_from_unet(state, "", metadata=metadata)
    config.set_inference_dtype(dtype, torch.bfloat16 if dtype.itemsize == 1 else None)
    place = torch.device(device)
    return comfy.model_patcher.ModelPatcher(config.get_model(state, "", device=place), place, place)


def weights(public: Public, dtype: Any, blocks: int) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Names and shapes of a network's weights, without numbers, and the metadata by which the host sizes it."""
    import comfy.ops

    common = {"operations": comfy.ops.disable_weight_init, "dtype": dtype, "device": "meta"}
    if public.family == "wan":
        from comfy.ldm.wan.model import WanModel

        sizes = {"dim": public.width, "ffn_dim": public.inner, "num_heads": public.heads, "num_layers": blocks,
                 "text_dim": public.text, "freq_dim": 256}  # fmt: skip
        ends = {"in_dim": public.channels, "out_dim": public.channels}
        net: Any = WanModel(model_type="t2v", cross_attn_norm=True, **ends, **sizes, **common)
        metadata = {"config": json.dumps({"transformer": sizes})}
    else:
        from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

        sizes = {"num_attention_heads": public.heads, "num_layers": blocks, "time_embed_dim": 512}
        net = CogVideoXTransformer3DModel(
            text_embed_dim=public.text, use_rotary_positional_embeddings=True, **sizes, **common
        )
        metadata = None
    return {name: value.detach() for name, value in net.named_parameters()}, metadata
