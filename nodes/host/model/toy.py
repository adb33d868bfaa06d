"""The toy model as genuine host objects, built the way the host's own loaders build them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from ....toy import text, weights
from ....toy.clips import ToySample
from ....toy.world import FPS, SIZE
from ....training.data.dataset import Dataset, Sample

COARSE, FINE = DETAILS = ("coarse", "fine")  # tokens of 16 x 16 pixels, or of 8 x 8


def load_model(detail: str = COARSE) -> Any:
    """The toy MODEL: the host's Wan 2.1, sampled with the shift it was trained for.

    Args:
        detail: One of ``DETAILS``, the size of its tokens.
    """
    import comfy.sd

    model = comfy.sd.load_diffusion_model(str(weights.FINE_BASE if detail == FINE else weights.BASE))
    sampling = _shifted()(model.model.model_config)
    sampling.set_parameters(shift=weights.SHIFT)
    model.add_object_patch("model_sampling", sampling)
    return model


@lru_cache(maxsize=1)
def _shifted() -> Any:
    """The host's flow sampling class, composed as its own Wan 2.1 composes it."""
    from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow

    class ModelSampling(ModelSamplingDiscreteFlow, CONST):
        pass

    return ModelSampling


def load_clip() -> Any:
    """The toy CLIP, its weights made from a seed."""
    import comfy.sd

    return comfy.sd.load_text_encoder_state_dicts(
        [text.clip_state_dict()], clip_type=comfy.sd.CLIPType.WAN, model_options={"model_config": dict(text.CONFIG)}
    )


def load_vae() -> Any:
    """The toy VAE: the host's Wan 2.1 VAE, width 8."""
    import comfy.sd

    state, metadata = weights.read(weights.VAE)
    vae = comfy.sd.VAE(sd={name: tensor.to(torch.float32) for name, tensor in state.items()}, metadata=metadata)
    vae.throw_exception_if_invalid()
    network: Any = vae.first_stage_model
    missing = network.state_dict().keys() - state.keys()
    if missing:  # the host would fill them with whatever lies in memory
        raise RuntimeError(f"{weights.VAE.name} lacks {len(missing)} weights; install FewShot Video again")
    return vae


def dataset_of(samples: list[ToySample], kind: str) -> Dataset:
    """Toy samples as the pack's own data set."""
    kept = tuple(
        Sample(
            target=sample.target,
            caption=sample.caption,
            conditions=sample.conditions,
            reference=sample.reference,
            reference_caption=sample.reference_caption,
            name=sample.name,
            fps=sample.fps,
        )
        for sample in samples
    )
    report = f"{len(kept)} toy clips, {kind}, {samples[0].target.count} frames of {SIZE} x {SIZE} at {FPS:g} fps"
    return Dataset(kept, SIZE, SIZE, FPS, report)
