"""The toy video model: the host's Wan 2.1 network, small, and one training step of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..text import WIDTH as TEXT_WIDTH

COARSE = (1, 2, 2)  # patch of the network that the base starts from; four times fewer tokens
CONFIG = {
    "model_type": "t2v",
    "patch_size": (1, 1, 1),
    "in_dim": 16,
    "dim": 256,
    "ffn_dim": 1024,
    "freq_dim": 256,
    "text_dim": TEXT_WIDTH,
    "out_dim": 16,
    "num_heads": 4,
    "num_layers": 5,
    "window_size": (-1, -1),
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
}


def build_network(patch: tuple[int, int, int] = CONFIG["patch_size"]) -> nn.Module:
    """A fresh host ``WanModel``: patch embedding and head start as a transposed orthonormal pair.

    The flow target holds the noise that is in the input, so a network that starts by copying its
    input through starts near the answer at high levels.
    """
    import comfy.ops  # pyright: ignore[reportMissingImports]
    from comfy.ldm.wan.model import WanModel  # pyright: ignore[reportMissingImports]

    config = {**CONFIG, "patch_size": patch}
    network = WanModel(**config, operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu")
    for name, parameter in network.named_parameters():
        if parameter.ndim >= 2 and "modulation" not in name:
            nn.init.xavier_uniform_(parameter.flatten(1))
        elif "modulation" in name:
            nn.init.normal_(parameter, std=CONFIG["dim"] ** -0.5)
        elif "bias" in name:
            nn.init.zeros_(parameter)
        else:
            nn.init.ones_(parameter)
    for layer in (network.time_embedding[0], network.time_embedding[2], network.text_embedding[0]):
        nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(network.time_projection[1].weight)
    pair = torch.empty(CONFIG["dim"], network.patch_embedding.weight[0].numel())
    nn.init.orthogonal_(pair)
    network.patch_embedding.weight.data = pair.view_as(network.patch_embedding.weight).clone()
    # The head orders its outputs (height, width, channel), the embedding (channel, height, width).
    head = pair.view(-1, 16, *patch[1:]).permute(2, 3, 1, 0).flatten(0, 2)
    network.head.head.weight.data = head.clone()
    return network


def use_fast_attention() -> None:
    """Swap the host's attention and rope for forms that train faster on a CPU; equal to 2e-7."""
    import comfy.ldm.wan.model as wan  # pyright: ignore[reportMissingImports]

    def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, **_: object) -> Tensor:
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)

    def rotate(x: Tensor, freqs: Tensor) -> Tensor:
        turn = torch.complex(freqs[..., 0, 0], freqs[..., 1, 0])
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turn).flatten(-2).type_as(x)

    wan.optimized_attention = attention
    wan.apply_rope1 = rotate


def flow_loss(network: nn.Module, x0: Tensor, context: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """Velocity error ``[B]`` of latents ``[B, 16, T, 8, 8]`` in model space.

    Args:
        network: predicts the velocity ``noise - x0``.
        x0: clean latents.
        context: text, ``[B, 77, 64]``.
        sigma: levels in [0, 1], one a clip ``[B]`` or one a frame ``[B, T]``; the network gets them as they are, and
            the error is that of the frames above zero.
        noise: shaped like ``x0``.
    """
    s = sigma.view(len(sigma), 1, -1, 1, 1)
    prediction = network((1 - s) * x0 + s * noise, sigma * 1000.0, context, transformer_options={})
    error = F.mse_loss(prediction.float(), noise - x0, reduction="none").mean((1, 3, 4))  # B T
    noisy = (sigma > 0).float() if sigma.ndim == 2 else torch.ones_like(error)
    return (error * noisy).sum(1) / noisy.sum(1).clamp(min=1)
