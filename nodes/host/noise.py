"""The noise process of a host MODEL, and the repair that CogVideoX needs before any sampler is right."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from ...methods.ddpm import DdpmProcess, snr_shifted, zero_terminal_snr
from ...methods.flow import FLOW, NoiseProcess
from .families import find_family

log = logging.getLogger(__name__)
SAMPLING = "model_sampling"  # the host's name of the object


def process_of(model: Any) -> NoiseProcess:
    """Noise process of a MODEL as it is patched.

    Raises:
        ValueError: it predicts neither a flow velocity nor the velocity of discrete timesteps.
    """
    from comfy.model_sampling import CONST, V_PREDICTION

    sampling = model.get_model_object(SAMPLING)
    if isinstance(sampling, CONST):
        return FLOW
    if type(sampling).calculate_denoised is V_PREDICTION.calculate_denoised and hasattr(sampling, "sigmas"):
        return DdpmProcess(sampling.sigmas)
    raise ValueError(
        f"the {type(model.model).__name__} predicts neither a flow nor a velocity; "
        "take the model sampling node off, or load a video model such as Wan or CogVideoX"
    )


def repaired(model: Any) -> Any:
    """A clone whose network gets scaled inputs, where the host leaves them unscaled; other MODELs as they are.

    The host's CogVideoX sampling hands a k-sampler's ``x0 + sigma noise`` to the network, which wants it divided by
    ``sqrt(1 + sigma^2)``. A sampling that the user has put on already is left alone.
    """
    import comfy.model_sampling

    broken = getattr(comfy.model_sampling, "V_PREDICTION_DDPM", None)
    sampling = model.get_model_object(SAMPLING)
    if broken is None or not isinstance(sampling, broken):
        return model
    clone = model.clone()
    clone.add_object_patch(SAMPLING, _scaled_sampling(model))
    log.info("FewShot Video: the host does not scale what %s sees; this model does", _name(model))
    return clone


def _scaled_sampling(model: Any) -> Any:
    """Velocity prediction with scaled inputs, on the schedule the family was trained with."""
    family = find_family(model)
    config = model.model.model_config
    scale = 1.0 if family is None else family.snr_shift
    sampling = _scaled()(config)
    if scale != 1.0:
        plain = _scaled()(config, zsnr=False).sigmas
        sampling.set_sigmas(zero_terminal_snr(snr_shifted(plain, scale), float(sampling.sigmas[-1])))
    return sampling


@lru_cache(maxsize=1)
def _scaled() -> Any:
    """The host's sampling class with scaled inputs, composed as the host composes its own."""
    from comfy.model_sampling import V_PREDICTION, ModelSamplingDiscrete

    class ModelSampling(ModelSamplingDiscrete, V_PREDICTION):
        pass

    return ModelSampling


def _name(model: Any) -> str:
    family = find_family(model)
    return type(model.model).__name__ if family is None else family.name
