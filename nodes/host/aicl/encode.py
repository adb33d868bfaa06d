"""From reference clips to action tokens, each reference only once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....methods import frames
from ....methods.action_prism import PrismSizes
from ....methods.action_tokens import ActionTokens, joined
from ....training.storage.numbers import require_finite
from ..model.encoders import is_image_vae, vae_key
from .adapter import HostAdapter
from .references import digest, read_reference
from .sites import SVD_FAMILY

log = logging.getLogger(__name__)
BYTES = 256  # of memory a value of the prism's tokens takes while it runs


@dataclass(frozen=True)
class Action:
    """AICL_ACTION: what integrations look at, and whose they are."""

    adapter: HostAdapter
    tokens: ActionTokens


def encode_action(adapter: HostAdapter, vae: Any, references: Sequence[tuple[Any, Any]], limit: int = 0) -> Action:
    """The tokens of all references together.

    Args:
        references: an IMAGE or a VIDEO, and the CONDITIONING of its caption.
        limit: most frames of each, taken evenly; 0 for all.

    Raises:
        ValueError: a reference cannot be read or has no motion, or the VAE or text encoder belongs to another model.
    """
    encoder = vae_key(vae)
    tokens = [_tokens(adapter, vae, encoder, clip, caption_of(caption), limit) for clip, caption in references]
    return Action(adapter, joined(tokens))


def caption_of(conditioning: Any) -> Tensor:
    """Tokens ``[1, n, E]`` of a CONDITIONING.

    Raises:
        ValueError: it is empty, or of several prompts.
    """
    tensors = [entry[0] for entry in conditioning]
    parts = sum(0 if tensor is None else len(tensor) for tensor in tensors)
    if parts != 1 or len(tensors) != 1:
        raise ValueError(
            f"the caption of a reference has {parts} parts, one is needed; wire CLIP Text Encode with the "
            "reference's own caption"
        )
    return tensors[0].float()


def _tokens(adapter: HostAdapter, vae: Any, encoder: str, value: Any, caption: Tensor, limit: int) -> ActionTokens:
    """Tokens of one reference on the CPU, from the adapter's memory where it has met it before."""
    size = adapter.sizes.prism.size
    clip = read_reference(value, limit, vae.temporal_compression_decode() or 1, size[0] if size else None)
    key = digest(clip, caption, encoder)
    if key in adapter.features:
        return adapter.features[key]
    latents = _latents(adapter, vae, clip[..., :3].float())
    return adapter.remember(key, run_prism(adapter, latents, caption))


def run_prism(adapter: HostAdapter, latents: Tensor, caption: Tensor) -> ActionTokens:
    """The prism on the host's device.

    Raises:
        ValueError: latents or caption are of another model.
    """
    import comfy.model_management as management

    patcher, sizes = adapter.prism, adapter.sizes.prism
    values = latents.shape[2] * _positions(sizes, *latents.shape[3:]) * sizes.width
    management.load_models_gpu([patcher], memory_required=BYTES * values)
    device = patcher.load_device
    with torch.inference_mode():
        tokens = patcher.model(latents.float().to(device), caption.to(device))
    return ActionTokens(tokens.tokens.cpu(), tokens.times.cpu())


def _positions(sizes: PrismSizes, height: int, width: int) -> int:
    """Tokens of a frame; the resampler averages large ones down."""
    positions = -(-height // sizes.patch) * -(-width // sizes.patch)
    return positions if sizes.size is not None else min(positions, sizes.grid**2)


def _latents(adapter: HostAdapter, vae: Any, clip: Tensor) -> Tensor:
    """Latents ``[1, C, T, h, w]`` of a reference as the VAE gives them; fitted where the adapter takes one size."""
    if is_image_vae(vae) and adapter.base_family != SVD_FAMILY:
        raise ValueError(
            f"the VAE is for images, {adapter.base_family} has a video VAE; load the one that belongs to it"
        )
    channels = adapter.sizes.prism.channels
    if vae.latent_channels != channels:
        raise ValueError(
            f"the VAE makes latents of {vae.latent_channels} channels, the adapter reads {channels}; load the VAE of "
            f"{adapter.base_family}"
        )
    size = adapter.sizes.prism.size
    if size is not None:
        spatial = vae.spacial_compression_encode()
        clip = frames.resize(clip, size[2] * spatial, size[1] * spatial)
    with torch.inference_mode():
        latents = vae.encode(clip)
    require_finite({"latents": latents}, "what the VAE has encoded", "run the VAE in bf16 or fp32")
    return latents.movedim(0, 1)[None] if latents.ndim == 4 else latents  # an image VAE: T C h w -> 1 C T h w
