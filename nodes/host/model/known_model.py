"""What a trainer needs to know of a host MODEL, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .changes import changes_on
from .families import Family
from .fingerprint import describe_base, model_fingerprint, patch_text


@dataclass(frozen=True)
class KnownModel:
    """A host MODEL that was asked once what it is."""

    model: Any  # host MODEL
    family: Family
    channels: int  # of its latents

    @property
    def base(self) -> str:
        """Its family, as files and messages name it."""
        return self.family.name

    @property
    def described(self) -> str:
        """Class and size, for sentences."""
        return describe_base(self.model)

    @property
    def patch(self) -> str:
        """Size of its tokens, for files; empty where the network does not say."""
        return patch_text(self.model)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the weights and of the patches on them."""
        return model_fingerprint(self.model)

    @cached_property
    def changes(self) -> dict[str, str]:
        """What other nodes have put on it, by name, each with a digest.

        Raises:
            ValueError: something on it cannot be told apart.
        """
        return changes_on(self.model)

    def in_model_space(self, latents: Tensor) -> Tensor:
        """VAE latents ``[C, T, h, w]`` as the network takes them."""
        return model_space(self.model, latents)


def latent_channels(model: Any) -> int:
    """Channels of the latents a host MODEL works on."""
    return model.model.latent_format.latent_channels


def model_space(model: Any, latents: Tensor) -> Tensor:
    """VAE latents ``[C, T, h, w]`` as the network takes them."""
    with torch.inference_mode(False), torch.no_grad():
        return model.model.process_latent_in(latents[None])[0].contiguous()
