"""The host's VAE and CLIP as plain encoders: tensors in, plain tensors out, freed through the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ....training.data.dataset import Dataset
from ....training.data.encoding import EncodedDataset
from ....training.data.vision import VisionEncoder
from ..services.folders import cache_folder, output_folder
from .fingerprint import weights_digest


def encode_dataset(
    dataset: Dataset, vae: Any, clip: Any, cache: bool, cache_limit: float = 0.0, vision: VisionEncoder | None = None
) -> tuple[EncodedDataset, str]:
    """The lazy handle trainers ask for their recipe, and a report. Nothing is encoded here.

    ``cache_limit`` is the most that the cache may hold, in gigabytes; 0 for no limit. ``vision`` is for networks that
    take features of the given frames.

    Raises:
        ValueError: The VAE is neither a video VAE nor an image VAE of two dimensions.
    """
    handle = EncodedDataset(
        dataset,
        encode_video=video_encoder(vae),
        encode_text=text_encoder(clip),
        encoder_key=vae_key(vae),
        text_key=clip_key(clip),
        cache_dir=cache_folder() if cache else None,
        release=releaser(vae.patcher, clip.patcher, *([vision.patcher] if vision else [])),
        frame_by_frame=is_image_vae(vae),
        cache_bytes=int(cache_limit * 1e9) or None,
        vision=vision,
    )
    count, buckets = len(dataset), dataset.buckets()
    size = next(iter(buckets)) if len(buckets) == 1 else dataset
    near = f"{len(buckets)} buckets near " if len(buckets) > 1 else ""
    folder = f"output/{output_folder().name}/{cache_folder().name}"
    lines = [
        f"{count} clip{'s' * (count != 1)}, {near}{size.width}x{size.height} at {dataset.fps:g} fps",
        f"Encoded when a trainer starts, then kept in {folder if cache else 'memory'}",
        dataset.report,
    ]
    return handle, "\n".join(lines).strip()


def is_image_vae(vae: Any) -> bool:
    """Whether a VAE encodes images one by one, to latents without a time axis."""
    return vae.latent_dim == 2


def video_encoder(vae: Any) -> Callable[[Tensor], Tensor]:
    """Pixels ``[T, H, W, 3]`` in [0, 1] to latents ``[C, T, h, w]``, fp32 on the CPU, in VAE space.

    An image VAE encodes each frame alone.

    Raises:
        ValueError: The VAE is for images of another kind, or for sound.
    """
    vae.throw_exception_if_invalid()
    alone = is_image_vae(vae)
    if not alone and (vae.latent_dim != 3 or vae.not_video):
        raise ValueError(
            f"the VAE has {vae.latent_channels} channels and is neither a video VAE nor that of Stable Diffusion; "
            "load the one that belongs to the model"
        )

    def encode(pixels: Tensor) -> Tensor:
        with torch.inference_mode():  # the host may patch or move weights that were made in this mode
            latents = vae.encode(pixels)
        return plain(latents.movedim(1, 0) if alone else latents[0])  # T C h w or 1 C T h w -> C T h w

    return encode


def text_encoder(clip: Any) -> Callable[[str], dict[str, Tensor]]:
    """A caption to ``cross_attn [L, D]`` and the encoder's other tensors, without the batch dimension."""

    def encode(text: str) -> dict[str, Tensor]:
        with torch.inference_mode():
            entries = clip.encode_from_tokens_scheduled(clip.tokenize(text), show_pbar=False)
        if len(entries) != 1 or "hooks" in entries[0][1]:
            raise ValueError("the CLIP carries hooks or a schedule, which training cannot follow; connect it without")
        cross_attn, extras = entries[0]
        found = {
            "cross_attn": cross_attn,
            **{name: _kept(value) for name, value in extras.items() if value is not None},
        }
        for name, value in found.items():
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"the text encoder gives {name!r} as {type(value).__name__}, only tensors can be kept; "
                    "choose a text encoder of a supported family"
                )
        return {name: plain(_without_batch(value)) for name, value in found.items()}

    return encode


def vae_key(vae: Any) -> str:
    """Identity of a VAE: its class, precision and weights."""
    return weights_digest(vae.patcher, type(vae.first_stage_model).__name__, str(vae.vae_dtype))


def clip_key(clip: Any) -> str:
    """Identity of a CLIP: its class, tokenizer, options, weights and the patches on them."""
    kinds = (type(clip.cond_stage_model).__name__, type(clip.tokenizer).__name__)
    return weights_digest(clip.patcher, *kinds, clip.layer_idx, sorted(clip.tokenizer_options.items()))


def releaser(*patchers: Any) -> Callable[[], None]:
    """A function that asks the host to unload these models, and no others."""

    def release() -> None:
        import comfy.model_management as management

        loaded = management.current_loaded_models
        ours = [entry for entry in loaded if any(_same(entry.model, patcher) for patcher in patchers)]
        others = [entry for entry in loaded if entry not in ours]
        for device in {entry.device for entry in ours}:
            management.free_memory(1e30, device, keep_loaded=others)

    return release


def _same(model: Any, patcher: Any) -> bool:
    return model is not None and model.is_clone(patcher)


def _kept(value: Any) -> Any:
    """A flag, such as LTX-2's for texts that go through its connectors, as a tensor; anything else as it is."""
    return torch.tensor(value) if isinstance(value, bool) else value


def _without_batch(value: Tensor) -> Tensor:
    return value[0] if value.ndim > 1 and value.shape[0] == 1 else value  # 1 L D -> L D


def plain(value: Tensor) -> Tensor:
    """A copy autograd accepts: made outside inference mode, on the CPU, floats as fp32."""
    with torch.inference_mode(False):
        dtype = torch.float32 if value.is_floating_point() else value.dtype
        return value.to("cpu", dtype, copy=True)
