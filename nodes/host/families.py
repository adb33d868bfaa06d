"""What differs between model families, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """One family of video models, as the methods need to know it."""

    name: str  # as written into LoRA metadata and messages
    class_name: str  # of the host's model
    compression: int  # pixel frames a later latent frame stands for
    spatial: int  # pixels a latent pixel stands for, times the patch size
    per_frame_timesteps: bool  # whether the network takes a timestep per frame
    attention: str  # pattern of the attention projections, relative to the network


FAMILIES: tuple[Family, ...] = (
    Family(
        name="Wan 2.1",
        class_name="WAN21",
        compression=4,
        spatial=16,
        per_frame_timesteps=True,
        attention=r"blocks\.\d+\.(self_attn|cross_attn)\.(q|k|v|o)",
    ),
)


def find_family(model: Any) -> Family | None:
    """The family of a host MODEL, or None; subclasses with inputs of their own do not count."""
    class_name = type(model.model).__name__
    return next((family for family in FAMILIES if family.class_name == class_name), None)


def family_of(model: Any) -> Family:
    """The family of a host MODEL.

    Raises:
        ValueError: the pack does not know it, or it is an image-to-video variant.
    """
    family = find_family(model)
    names = ", ".join(known.name for known in FAMILIES)
    if family is None:
        raise ValueError(
            f"the model is a {type(model.model).__name__}, this node works with {names}; "
            "load one of these text-to-video models"
        )
    if getattr(model.model, "image_to_video", False):
        raise ValueError(
            f"the model is an image-to-video {family.name}, this node needs the text-to-video one; load that instead"
        )
    return family
