"""The noise process of a host MODEL, and the repairs that CogVideoX needs before any sampler is right."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from ....methods.ddpm import DdpmProcess, snr_shifted, zero_terminal_snr
from ....methods.flow import FLOW, NoiseProcess
from .families import Family, find_family
from .rope import PLACES, rotary_places, trained_places

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
    """A clone that samples CogVideoX as it was trained; MODELs that need nothing are returned as they are."""
    return repair(model, find_family(model))[0]


def repair(model: Any, family: Family | None) -> tuple[Any, tuple[str, ...]]:
    """The same for a MODEL whose family is known, and what the host does wrong about it, for sentences.

    The host's CogVideoX sampling hands a k-sampler's ``x0 + sigma noise`` to the network, which wants it divided by
    ``sqrt(1 + sigma^2)``, and it spaces the tokens of CogVideoX 1.0 too far apart, see ``trained_places``. A sampling
    that the user has put on already is left alone.
    """
    patches, repairs = {}, []
    if _is_unscaled(model):
        patches[SAMPLING] = _scaled_sampling(model, family)
        repairs.append("does not scale what %s sees")
    places = None if PLACES in model.object_patches else trained_places(model)
    if places is not None:
        patches[PLACES] = places
        repairs.append("spaces the tokens of %s too far apart")
    if not patches:
        return model, ()
    clone, name = model.clone(), type(model.model).__name__ if family is None else family.name
    for key, patch in patches.items():
        clone.add_object_patch(key, patch)
    repairs = [what % name for what in repairs]
    for what in repairs:
        log.info("FewShot Video: the host %s; this model does it right", what)
    return clone, tuple(repairs)


def own_repairs(model: Any) -> set[str]:
    """Keys of the object patches on a MODEL that ``repaired`` has put there."""
    ours = {SAMPLING: isinstance(model.object_patches.get(SAMPLING), _scaled())}
    ours[PLACES] = getattr(model.object_patches.get(PLACES), "func", None) is rotary_places
    return {key for key, own in ours.items() if own}


def _is_unscaled(model: Any) -> bool:
    import comfy.model_sampling

    broken = getattr(comfy.model_sampling, "V_PREDICTION_DDPM", None)
    return broken is not None and isinstance(model.get_model_object(SAMPLING), broken)


def _scaled_sampling(model: Any, family: Family | None) -> Any:
    """Velocity prediction with scaled inputs, on the schedule the family was trained with."""
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
