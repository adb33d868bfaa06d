"""A CogVideoX network of the host's own class, small enough for tests, loaded from a file by the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

# Rotary positions as in CogVideoX 5B; the host infers all of it from the weights, and a head has always 64 channels.
CONFIG = {
    "num_attention_heads": 1, "num_layers": 2, "time_embed_dim": 16, "text_embed_dim": 32,
    "use_rotary_positional_embeddings": True,
}  # fmt: skip
LATER = {"patch_size_t": 2}  # CogVideoX 1.5 packs two latent frames into a token
# CogVideoX 2B with its table of position embeddings, 13 latents of 60 x 90; the host takes no head of 64 channels.
POSITION_TABLE = {
    "num_attention_heads": 3, "num_layers": 1,
    "use_rotary_positional_embeddings": False, "use_learned_positional_embeddings": True,
}  # fmt: skip
LATENT_CHANNELS = 16
HEADS_2B = 30


def save_tiny_cogvideox(path: Path, seed: int = 0, **config: Any) -> Path:
    """Write seeded random weights: rope as in 5B, else ``**POSITION_TABLE`` for 2B or ``**LATER`` for 1.5.

    ``ofs_embed_dim=16`` adds what 1.5's image-to-video form has.
    """
    import comfy.ops
    from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

    net = CogVideoXTransformer3DModel(
        operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu", **{**CONFIG, **config}
    )
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, parameter in net.named_parameters():
        flat = parameter.ndim < 2 and "bias" not in name
        state[name] = torch.ones(parameter.shape) if flat else torch.randn(parameter.shape, generator=generator) * 0.1
    if config.get("use_learned_positional_embeddings"):
        state["patch_embed.pos_embedding"] = published_table(net.dim)
    save_file(state, path)
    return path


def published_table(channels: int) -> torch.Tensor:
    """The table of CogVideoX 2B, ``[1, 226 + 13 30 45, channels]``, as diffusers makes it."""
    from diffusers.models.embeddings import CogVideoXPatchEmbed

    with torch.inference_mode(False):
        return CogVideoXPatchEmbed(embed_dim=channels, text_embed_dim=1).pos_embedding.float()


def load_tiny_cogvideox(path: Path) -> Any:
    """The host MODEL, loaded in inference mode as a node would."""
    import comfy.sd

    with torch.inference_mode():
        return with_its_scale(comfy.sd.load_diffusion_model(str(path)))


def with_its_scale(model: Any) -> Any:
    """The MODEL with the latents' scale that its family has, 0.7 for 5B and 1.5, which the host tells by 48 heads."""
    import comfy.latent_formats

    network = model.model.diffusion_model
    if network.num_attention_heads != HEADS_2B and getattr(network.patch_embed, "pos_embedding", None) is None:
        model.model.latent_format = model.model.model_config.latent_format = comfy.latent_formats.CogVideoX1_5()
    return model
