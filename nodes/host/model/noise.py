"""The noise process of a host MODEL, and the repairs that CogVideoX needs before any sampler is right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....methods.ddpm import DdpmProcess, snr_shifted, zero_terminal_snr
from ....methods.flow import FLOW, NoiseProcess
from .families import Family, find_family
from .position_table import FORWARD, is_2b, own_patches, with_computed_positions
from .rope import ROPE, rotary_embeddings, trained_rope

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


@dataclass(frozen=True)
class LoadedModel:
    """Any host MODEL, repaired and asked once for its family: for nodes that also take what the pack does not train."""

    model: Any  # host MODEL
    family: Family | None
    repairs: tuple[str, ...] = ()  # what the host does wrong about it, for sentences

    @property
    def name(self) -> str:
        """Of its family, or of the host's class, for sentences."""
        return type(self.model.model).__name__ if self.family is None else self.family.name


def loaded_model(model: Any) -> LoadedModel:
    """Ask a host MODEL for its family, and repair what the host gets wrong about it."""
    family = find_family(model)
    right, repairs = repair(model, family)
    return LoadedModel(right, family, repairs)


def repaired(model: Any) -> Any:
    """A clone that samples CogVideoX as it was trained; MODELs that need nothing are returned as they are."""
    return loaded_model(model).model


def repair(model: Any, family: Family | None) -> tuple[Any, tuple[str, ...]]:
    """A clone of a MODEL of a family that is right, and what the host does wrong about it, for sentences.

    The host's CogVideoX sampling hands a k-sampler's ``x0 + sigma noise`` to the network, which wants it divided by
    ``sqrt(1 + sigma^2)``; it spaces the tokens of CogVideoX 5B too far apart, see ``trained_rope``, and gives those
    of CogVideoX 2B the position embeddings of another size, see ``position_table``. A sampling that the user has put
    on already is left alone.
    """
    made = [one for one in (_scaling(model, family), _positions(model)) if one is not None]
    if not made:
        return model, ()
    clone, name = model.clone(), type(model.model).__name__ if family is None else family.name
    repairs = tuple(what % name for _, what in made)
    for act, _ in made:
        act(clone)
    for what in repairs:
        log.info("FewShot Video: the host %s; this model does it right", what)
    return clone, repairs


Repair = tuple[Callable[[Any], None], str]  # what to do to a clone, and what the host does wrong


def _scaling(model: Any, family: Family | None) -> Repair | None:
    if not _is_unscaled(model):
        return None
    sampling = _scaled_sampling(model, family)
    return lambda clone: clone.add_object_patch(SAMPLING, sampling), "does not scale what %s sees"


def _positions(model: Any) -> Repair | None:
    if type(model.model).__name__ == "CogVideoX" and is_2b(model.model.diffusion_model):
        if FORWARD in model.object_patches:
            return None
        return with_computed_positions, "gives the tokens of %s the position embeddings of 720 x 480"
    rope = None if ROPE in model.object_patches else trained_rope(model)
    if rope is None:
        return None
    return lambda clone: clone.add_object_patch(ROPE, rope), "spaces the tokens of %s too far apart"


def own_repairs(model: Any) -> set[str]:
    """Keys of the object patches on a MODEL that ``repaired`` has put there."""
    ours = {SAMPLING: isinstance(model.object_patches.get(SAMPLING), _scaled())}
    ours[ROPE] = getattr(model.object_patches.get(ROPE), "func", None) is rotary_embeddings
    return {key for key, own in ours.items() if own} | own_patches(model)


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
