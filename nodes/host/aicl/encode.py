"""From reference clips to action tokens, each reference only once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....methods import frames
from ....methods.action_prism import PrismSizes
from ....methods.action_tokens import ActionTokens, joined
from ....methods.tic_ft import latent_frames, pixel_frames
from ....training.storage.numbers import require_finite
from ..model.encoders import is_image_vae, vae_key
from .adapter import HostAdapter
from .sites import SVD_FAMILY

log = logging.getLogger(__name__)
SMALLEST = 16  # pixels; less than one token of any base
BYTES = 256  # of memory a value of the prism's tokens takes while it runs


@dataclass(frozen=True)
class Action:
    """AICL_ACTION: what integrations look at, and whose they are."""

    adapter: HostAdapter
    tokens: ActionTokens


def encode_action(adapter: HostAdapter, vae: Any, references: Sequence[tuple[Tensor, Any]], limit: int = 0) -> Action:
    """The tokens of all references together.

    Args:
        references: frames ``[T, H, W, C]`` in [0, 1], and the CONDITIONING of its caption.
        limit: most frames of each, taken evenly; 0 for all.

    Raises:
        ValueError: a reference has no motion, or the VAE or text encoder belongs to another model.
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


def _tokens(adapter: HostAdapter, vae: Any, encoder: str, clip: Tensor, caption: Tensor, limit: int) -> ActionTokens:
    """Tokens of one reference on the CPU, from the adapter's memory where it has met it before."""
    if len(clip) < 2:
        raise ValueError("a reference of one frame has no motion; give a clip of at least 2 frames, better 17 or more")
    height, width = clip.shape[1:3]
    if min(height, width) < SMALLEST:
        raise ValueError(f"a reference is {width}x{height} pixels; give a clip of at least {SMALLEST} each way")
    key = _digest(clip, caption, encoder, limit)
    if key in adapter.features:
        return adapter.features[key]
    latents = _latents(adapter, vae, clip[..., :3].float(), limit)
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


def _latents(adapter: HostAdapter, vae: Any, clip: Tensor, limit: int) -> Tensor:
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
    compression = vae.temporal_compression_decode() or 1
    if size is not None:
        spatial = vae.spacial_compression_encode()
        clip = frames.resize(clip, size[2] * spatial, size[1] * spatial)
        clip = evenly(clip, pixel_frames(size[0], compression))
    else:
        clip = evenly(clip, _whole_frames(len(clip), limit, compression))
    with torch.inference_mode():
        latents = vae.encode(clip)
    require_finite({"latents": latents}, "what the VAE has encoded", "run the VAE in bf16 or fp32")
    return latents.movedim(0, 1)[None] if latents.ndim == 4 else latents  # an image VAE: T C h w -> 1 C T h w


def _whole_frames(count: int, limit: int, compression: int) -> int:
    """How many of a reference's frames are taken: those of whole latents, so that its VAE drops none at its end.

    Raises:
        ValueError: they are one latent.
    """
    least = pixel_frames(2, compression)
    if count < least:
        raise ValueError(
            f"a reference of {count} frames becomes one latent, in which nothing moves; give at least {least} frames"
        )
    if 0 < limit < least:
        raise ValueError(
            f"max_frames is {limit}, which becomes one latent, in which nothing moves; set it to {least} or more, or "
            "to 0 for all"
        )
    return pixel_frames(latent_frames(min(count, limit or count), compression), compression)


def evenly(clip: Tensor, count: int) -> Tensor:
    """``count`` frames of a clip from its first to its last, each the nearest in time."""
    return clip[torch.linspace(0, len(clip) - 1, count).round().long()]


def _digest(clip: Tensor, caption: Tensor, encoder: str, limit: int) -> str:
    """Identity of a reference: every pixel, its caption, and what encodes it."""
    digest = hashlib.sha256(f"{encoder} {limit} {list(clip.shape)} {list(caption.shape)}".encode())
    for tensor in (clip, caption):
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
