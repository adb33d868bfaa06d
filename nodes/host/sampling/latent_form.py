"""Whether latents and a VAE are those of a model, before anything is made of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def check_latent(model: Any, samples: Tensor, what: str, advice: str) -> None:
    """Refuse latents of another model than this one.

    Args:
        model: Host MODEL.
        samples: Its latents, as they are given to the sampler.
        what: Begins the sentence, like "inversion".
        advice: Ends it.

    Raises:
        ValueError: they have other channels, another number of dimensions, or none of the values.
    """
    channels, dimensions = _form(model)
    if getattr(samples, "is_nested", False):  # of video and sound: the sampler looks at its parts
        return
    if samples.ndim != dimensions or samples.shape[1] != channels or not samples.numel():
        wanted = ["batch", channels, *(("frames",) if dimensions == 5 else ()), "height", "width"]
        raise ValueError(
            f"{what} got a latent of shape {list(samples.shape)}, the {type(model.model).__name__} works on "
            f"[{', '.join(map(str, wanted))}]; {advice}"
        )


def check_vae(model: Any, vae: Any) -> None:
    """Refuse a VAE that cannot decode what a model makes.

    Raises:
        ValueError: its latents have other channels, or are of images where the model's are of videos.
    """
    channels, dimensions = _form(model)
    kinds = {4: "images", 5: "videos"}
    if (vae.latent_channels, vae.latent_dim + 2) != (channels, dimensions):
        raise ValueError(
            f"the VAE is for {kinds.get(vae.latent_dim + 2, 'other latents')} of {vae.latent_channels} channels, the "
            f"{type(model.model).__name__} makes {kinds.get(dimensions, 'other latents')} of {channels}; load the VAE "
            "that belongs to the model"
        )


def _form(model: Any) -> tuple[int, int]:
    """Channels and number of dimensions of a model's latents."""
    form = model.model.latent_format
    return form.latent_channels, getattr(form, "latent_dimensions", 2) + 2
