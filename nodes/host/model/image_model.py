"""A host MODEL of images that was asked once what it is, as Tune-A-Video needs to know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ....methods.ddpm import DdpmProcess, NoisePrediction
from .changes import as_trained
from .families import Family
from .known_model import KnownModel, latent_channels
from .noise import SAMPLING

IMAGE_FAMILIES = {"SD15": "Stable Diffusion 1.x", "SD20": "Stable Diffusion 2.x"}  # by the host's name of the kind
BLOCKS = r".*\.transformer_blocks\.\d+"  # of the network, for checkpointing


@dataclass(frozen=True)
class ImageModel(KnownModel):
    """An image MODEL and what Tune-A-Video needs to know of it. Made by ``image_model`` at a node's edge."""

    process: DdpmProcess  # how its frames are noised, and what it predicts

    @property
    def base(self) -> str:
        """Family and prediction, as files and messages name it."""
        return base_of(self.model)


def image_model(model: Any) -> ImageModel:
    """Ask a host MODEL what it is.

    Raises:
        ValueError: it is no Stable Diffusion 1.x or 2.x, or predicts neither noise nor velocity.
    """
    base_of(model)  # refuses other kinds
    kind = type(model.model.model_config).__name__
    # What a latent pixel stands for, in each direction.
    pixels = getattr(model.model.latent_format, "spacial_downscale_ratio", 8)
    family = Family(IMAGE_FAMILIES[kind], type(model.model).__name__, compression=1, spatial=pixels, blocks=BLOCKS)
    return ImageModel(model, family, latent_channels(model), process_of_images(model))


def trainable_image_model(model: Any) -> ImageModel:
    """As ``image_model``, for a MODEL that is to be trained.

    Raises:
        ValueError: as ``image_model``, or it also takes a mask.
    """
    model = as_trained(model)
    found = image_model(model)
    if getattr(model.model, "concat_keys", ()):
        raise ValueError(
            f"the model is the inpainting kind of {found.base}, which also takes a mask; load the plain one"
        )
    return found


def base_of(model: Any) -> str:
    """Family and prediction of an image MODEL, as messages and files name it.

    Raises:
        ValueError: it is no Stable Diffusion 1.x or 2.x.
    """
    from comfy.model_sampling import V_PREDICTION

    kind = type(getattr(model.model, "model_config", None)).__name__
    if kind not in IMAGE_FAMILIES:
        raise ValueError(
            f"Tune-A-Video works with {' and '.join(IMAGE_FAMILIES.values())}, the model is a "
            f"{type(model.model).__name__} ({kind}); load one of those"
        )
    velocity = isinstance(model.get_model_object(SAMPLING), V_PREDICTION)
    return f"{IMAGE_FAMILIES[kind]}, {'velocity' if velocity else 'noise'} prediction"


def process_of_images(model: Any) -> DdpmProcess:
    """Noise process of an image MODEL as it is patched.

    Raises:
        ValueError: it predicts neither the noise nor a velocity of discrete timesteps.
    """
    from comfy.model_sampling import EPS, V_PREDICTION

    sampling = model.get_model_object(SAMPLING)
    predicted, sigmas = type(sampling).calculate_denoised, getattr(sampling, "sigmas", None)
    kinds = {EPS.calculate_denoised: NoisePrediction, V_PREDICTION.calculate_denoised: DdpmProcess}
    if predicted not in kinds or sigmas is None:
        raise ValueError(
            f"the {type(model.model).__name__} predicts neither noise nor velocity; take the model sampling node off"
        )
    return kinds[predicted](sigmas)
