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
# CogVideoX 2B has a table of places, 13 latents of 60 x 90, in which a head of 64 channels does not fit.
PLACE_TABLE = {
    "num_attention_heads": 3, "num_layers": 1,
    "use_rotary_positional_embeddings": False, "use_learned_positional_embeddings": True,
}  # fmt: skip
LATENT_CHANNELS = 16


def save_tiny_cogvideox(path: Path, seed: int = 0, **config: Any) -> Path:
    """Write seeded random weights: rope as in 5B, else ``**PLACE_TABLE`` for 2B or ``**LATER`` for 1.5.

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
    state.update((name, value) for name, value in net.state_dict().items() if name not in state)  # its place table
    save_file(state, path)
    return path


def load_tiny_cogvideox(path: Path) -> Any:
    """The host MODEL, loaded in inference mode as a node would."""
    import comfy.sd

    with torch.inference_mode():
        return comfy.sd.load_diffusion_model(str(path))
