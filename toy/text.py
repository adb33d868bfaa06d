"""The toy text encoder: a two-layer CLIP whose weights all come from a seed, so no file is shipped.

Random weights are enough: the video model is trained on top of them. Every token of the real CLIP
vocabulary has its own vector, so unknown words are merely unknown.
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 64  # channels of a text token
LAYERS = 2
SEED = 20240601
CONFIG = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "intermediate_size": 4 * WIDTH,
    "num_attention_heads": 4,
    "projection_dim": WIDTH,
}
_VOCABULARY, _POSITIONS = 49408, 77


def clip_state_dict(seed: int = SEED) -> dict[str, Tensor]:
    """Weights of the toy CLIP in the usual CLIP-L layout, float32; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, std: float) -> Tensor:
        return torch.randn(shape, generator=generator) * std

    weights = {
        "text_model.embeddings.token_embedding.weight": normal(_VOCABULARY, WIDTH, std=1.0),
        "text_model.embeddings.position_embedding.weight": normal(_POSITIONS, WIDTH, std=0.3),
        "text_projection.weight": normal(WIDTH, WIDTH, std=WIDTH**-0.5),
        **_norm("text_model.final_layer_norm"),
    }
    sizes = {
        "self_attn.q_proj": (WIDTH, WIDTH, 1.0),
        "self_attn.k_proj": (WIDTH, WIDTH, 1.0),
        "self_attn.v_proj": (WIDTH, WIDTH, 1.0),
        "self_attn.out_proj": (WIDTH, WIDTH, 0.5),
        "mlp.fc1": (4 * WIDTH, WIDTH, 1.0),
        "mlp.fc2": (WIDTH, 4 * WIDTH, 0.5),
    }
    for layer in range(LAYERS):
        prefix = f"text_model.encoder.layers.{layer}."
        for name, (rows, columns, gain) in sizes.items():
            weights[f"{prefix}{name}.weight"] = normal(rows, columns, std=gain * columns**-0.5)
            weights[f"{prefix}{name}.bias"] = torch.zeros(rows)
        weights |= _norm(f"{prefix}layer_norm1") | _norm(f"{prefix}layer_norm2")
    return weights


def _norm(name: str) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.ones(WIDTH), f"{name}.bias": torch.zeros(WIDTH)}
