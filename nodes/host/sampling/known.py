"""What an image-to-video network is given of a TIC-FT context: the condition's frames, by the rule of the training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....methods import tic_ft, tic_ft_tasks
from ....training.data.known_frames import FEATURES, KNOWN, UNKNOWN
from ..model.families import Family
from ..model.vision import vision_encoder

IMAGES = ("concat_latent_image", "time_dim_replace")  # the host's names in a conditioning


def check_vision(clip_vision: Any, family: Family) -> None:
    """Refuse a missing CLIP vision model, or one that is not the network's, before anything is encoded.

    Raises:
        ValueError: the network takes CLIP features and there are none, or they have other channels.
    """
    known = family.known_frames
    if known is None or not known.vision:
        return
    if clip_vision is None:
        raise ValueError(
            f"{family.name} takes CLIP features of the first frame besides its latents; connect clip_vision "
            "(CLIP ViT-H, the file clip_vision_h)"
        )
    vision_encoder(clip_vision).check(known.vision)


def leaves_image_empty(family: Family | None) -> bool:
    """Whether a network has channels for an image that stay empty beside a context, as they did in training."""
    return family is not None and family.empty_image


def check_prompts(guider: Any, family: Family | None) -> None:
    """Refuse prompts with an image for inputs that stay empty beside a TIC-FT context, as they did in training.

    Raises:
        ValueError: a prompt carries one.
    """
    if family is None or not leaves_image_empty(family):
        return
    if any(name in prompt for prompts in guider.conds.values() for prompt in prompts for name in IMAGES):
        raise ValueError(
            f"the prompts carry an image for {family.name}, whose image inputs stay empty beside TIC-FT; connect the "
            "encoded captions to the sampler themselves, and the image as condition of TIC-FT Context"
        )


def known_inputs(
    family: Family, vae: Any, clip_vision: Any, segments: list[Tensor], latents: Tensor, layout: tic_ft.Layout
) -> dict[str, Tensor] | None:
    """Latents, mask and features of the condition's frames, each with a batch dimension of 1; None for other networks.

    Args:
        family: the network's.
        vae: host VAE.
        clip_vision: host CLIP vision model; None where the network takes no features.
        segments: the arranged conditions, ``[T, H, W, 3]`` each.
        latents: clean ones of the sequence, ``[1, C, F, h, w]``, whose condition is the given one.
        layout: frame counts.
    """
    if family.known_frames is None:
        return None
    known, size = family.known_frames.leading, segments[0].shape[1:] if segments else _size_of(vae, latents)
    frames = torch.zeros(tic_ft.pixel_frames(layout.frames, family.compression), *size)
    given = tic_ft_tasks.join(segments, family.compression) if segments else frames[:0]
    frames[: len(given)] = given
    clip = known.clip(frames, layout.condition, family.compression)
    encoded = {KNOWN: vae.encode(clip)[0].to(latents)}
    if known.vision:
        encoded[FEATURES] = vision_encoder(clip_vision).encode(known.pictures(clip))
    return {name: value[None] for name, value in known.inputs(latents[0], encoded, layout.condition).items()}


def with_overlap(known: dict[str, Tensor] | None, before: Tensor, layout: tic_ft.Layout) -> dict[str, Tensor] | None:
    """The inputs of ``known_inputs`` with the overlap given, too: what a window holds clean is known like a condition.

    Args:
        known: as that gives them, of a layout without overlap.
        before: clean latents of the overlap, as the VAE gives them, ``[1, C, O, h, w]``.
        layout: frame counts, O among them.
    """
    if known is None:
        return None
    places, found = slice(layout.prefix, layout.known), {name: value.clone() for name, value in known.items()}
    found[KNOWN][:, :, places] = before.to(found[KNOWN])
    found[UNKNOWN][:, :, places] = 0.0
    return found


def _size_of(vae: Any, latents: Tensor) -> tuple[int, int, int]:
    scale = vae.spacial_compression_decode()
    return latents.shape[3] * scale, latents.shape[4] * scale, 3
