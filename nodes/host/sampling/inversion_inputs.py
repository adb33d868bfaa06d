"""What inversion is given: its settings, and the latents and prompts that fit the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....methods.inversion import DDIM, METHODS
from ....training.tune_a_video import presets
from ..model.families import text_width
from ..model.noise import SAMPLING, LoadedModel
from .latent_form import check_latent

AUTOMATIC = "automatic"
CHOICES = (AUTOMATIC, *METHODS)


@dataclass(frozen=True)
class InversionSettings:
    """What to invert with."""

    steps: int
    scheduler: str = "normal"  # the host's name
    method: str = AUTOMATIC  # ddim, and fixed-point for flow models
    iterations: int = 3  # of fixed-point
    cfg: float = 1.0  # 1: no guidance
    inverted: float = 1.0  # share of inverted noise, the rest is fresh
    seed: int = 0  # of the fresh noise
    stride: int = 1  # frames from one that is inverted to the next
    frames: int = 0  # of them; 0: all
    preset: str = presets.AS_SET

    @property
    def published(self) -> bool:
        """Whether all is as Tune-A-Video's authors have it."""
        return presets.is_published(self.preset)

    def resolved(self) -> InversionSettings:
        """What the preset means."""
        if not self.published:
            return self
        window = {"stride": presets.WINDOW.stride, "frames": presets.WINDOW.frames}
        return replace(self, scheduler=presets.SCHEDULER, method=DDIM, cfg=1.0, inverted=1.0, **window)


def seen_frames(model: Any, latent: dict[str, Any], settings: InversionSettings) -> dict[str, Any]:
    """The LATENT of the frames that are inverted: those that Tune-A-Video Train sees.

    Raises:
        ValueError: the model makes videos, whose latents are no frames, or predicts no noise, or they are too few.
    """
    if settings.published and isinstance(model.get_model_object(SAMPLING), _flow_sampling()):
        raise ValueError(
            f"the preset {settings.preset} is Tune-A-Video's on Stable Diffusion, the model is a "
            f"{type(model.model).__name__}; set preset to {presets.AS_SET}"
        )
    if (settings.stride, settings.frames) == (1, 0):
        return latent
    samples = latent["samples"]
    if samples.ndim != 4:
        raise ValueError(
            "stride and frames count the frames of an image model, this latent is a video's; thin the clip out before "
            "VAE Encode, and set them to 1 and 0"
        )
    taken = samples[:: settings.stride][: settings.frames or None]
    if len(taken) < settings.frames:
        raise ValueError(
            f"the latent has {len(samples)} frames, {settings.frames} at a stride of {settings.stride} need "
            f"{(settings.frames - 1) * settings.stride + 1}; lower frames or stride, or take a longer clip"
        )
    index = latent.get("batch_index")
    rest = {} if index is None else {"batch_index": index[:: settings.stride][: settings.frames or None]}
    return {**latent, **rest, "samples": taken}


def _flow_sampling() -> Any:
    from comfy.model_sampling import CONST

    return CONST


def check_family(loaded: LoadedModel, samples: Tensor, *prompts: Any) -> None:
    """Refuse latents and prompts of another model than this one.

    Raises:
        ValueError: they have other channels, or another number of dimensions.
    """
    model = loaded.model
    check_latent(model, samples, "inversion", "encode the source clip with the model's own VAE")
    width = text_width(model, loaded.name)
    for tokens, _ in (part for prompt in prompts for part in prompt or ()):
        if width is not None:
            width.check(tokens.shape)


def checked(latent: dict[str, Any]) -> Tensor:
    """The latents of a clip.

    Raises:
        ValueError: they are several at once, empty, or masked.
    """
    samples = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise ValueError("inversion got several latents in one; invert the video's alone")
    if not torch.count_nonzero(samples):
        raise ValueError("inversion got an empty latent; encode the source clip with VAE Encode and connect that")
    if latent.get("noise_mask") is not None:
        raise ValueError(
            "inversion got a latent with a noise mask; outside of it a sampler would keep noise and no clip, so "
            "connect the latent from before the mask"
        )
    return samples
