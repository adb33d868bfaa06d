"""A video MODEL that was asked once what it is: family, noise process, latents, and what had to be repaired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ....methods.flow import NoiseProcess
from .changes import as_trained
from .families import family_of, trainable
from .known_model import KnownModel, latent_channels
from .noise import process_of, repair


@dataclass(frozen=True)
class VideoModel(KnownModel):
    """A video MODEL, repaired, and what the methods need to know of it. Made by ``video_model`` at a node's edge."""

    repairs: tuple[str, ...] = ()  # what the host does wrong about it, for sentences

    @cached_property
    def process(self) -> NoiseProcess:
        """How its frames are noised and what it predicts, as it is patched.

        Raises:
            ValueError: it predicts no velocity.
        """
        return process_of(self.model)

    def with_model(self, model: Any) -> VideoModel:
        """The same with another clone of its MODEL, for instance one with a LoRA on it."""
        return self if model is self.model else replace(self, model=model)


def video_model(model: Any) -> VideoModel:
    """Ask a host MODEL what it is, and repair what the host gets wrong about it.

    Raises:
        ValueError: the pack does not know it, or it is an image-to-video variant.
    """
    family = family_of(model)
    right, repairs = repair(model, family)
    return VideoModel(right, family, latent_channels(right), repairs)


def trainable_video_model(model: Any) -> VideoModel:
    """As ``video_model``, for a MODEL that is to be trained.

    Raises:
        ValueError: as ``video_model``, or the pack does not train its family, it predicts no velocity, or it has LoRAs
            on hooks.
    """
    found = video_model(model)
    trainable(found.family, found.model.model.diffusion_model)
    found = found.with_model(as_trained(found.model))
    _ = found.process  # refuses what no objective is made for
    return found
