"""Which layers of HunyuanVideo's networks are trained, and what their fused projections consist of."""

from __future__ import annotations

from typing import Any

# Parts of a projection that is several in one, as their rows lie in it, and their rows over its inputs.
QKV = (("q", 1), ("k", 1), ("v", 1))
DOUBLE = r"double_blocks\.\d+\.(img|txt)"
ATTENTION = rf"{DOUBLE}_attn\.(qkv|proj)|single_blocks\.\d+\.linear[12]"
LAYERS: dict[str, Any] = {
    "blocks": r"(double|single)_blocks\.\d+",
    # The projections of a single block are those of its MLP, too.
    "attention": ATTENTION,
    "appearance": rf"{ATTENTION}|{DOUBLE}_mlp\.[02]",
    # The one attention of a block is of text and video together.
    "motion": rf"({DOUBLE}_attn\.qkv|single_blocks\.\d+\.linear1)\.[qk]",
    "classic": rf"({DOUBLE}_attn\.qkv|single_blocks\.\d+\.linear1)\.q",
    "fused": ((rf"{DOUBLE}_attn\.qkv", QKV), (r"single_blocks\.\d+\.linear1", (*QKV, ("mlp", 4)))),
    "changes_tokens": True,
}
