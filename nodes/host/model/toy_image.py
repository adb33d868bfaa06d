"""The toy image model as genuine host objects, built in code: the host reads only full-sized ones from files."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....toy import image_model, text, weights


def load_image_model(disable_dynamic: bool = False) -> Any:
    """The toy image MODEL: the host's Stable Diffusion 1.x with its own noise schedule.

    Args:
        disable_dynamic: the host asks for this when it loads a model once more.

    Raises:
        RuntimeError: the weights are missing from the pack, or some of them.
    """
    import comfy.model_management as management
    import comfy.model_patcher

    state, _ = weights.read(weights.IMAGE_BASE)
    base = _network_of(state)
    kind = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    model = kind(base, load_device=management.get_torch_device(), offload_device=management.unet_offload_device())
    _check_complete(base.diffusion_model, state, weights.IMAGE_BASE.name)
    base.load_model_weights(dict(state), "", assign=model.is_dynamic())
    model.cached_patcher_init = (load_image_model, ())
    return model


def _network_of(state: dict[str, Tensor]) -> Any:
    """The host's model of the class in the precision it would choose for these weights."""
    import comfy.model_management as management
    from comfy.supported_models import SD15

    config = SD15(dict(image_model.UNET))
    config.latent_format.spacial_downscale_ratio = image_model.STRIDE  # sizes what Empty Latent Image gives
    types, device = list(config.supported_inference_dtypes), management.get_torch_device()
    count, stored = sum(value.numel() for value in state.values()), next(iter(state.values())).dtype
    chosen = management.unet_dtype(model_params=count, supported_dtypes=types, weight_dtype=stored)
    config.set_inference_dtype(chosen, management.unet_manual_cast(chosen, device, types))
    return config.get_model(state, "", device=management.unet_inital_load_device(count, chosen))


def load_image_clip() -> Any:
    """The CLIP of the toy image model, its weights made from a seed; the same as the video model's."""
    import comfy.sd

    return comfy.sd.load_text_encoder_state_dicts(
        [text.clip_state_dict()],
        clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION,
        model_options={"model_config": dict(text.CONFIG)},
    )


def load_image_vae() -> Any:
    """The VAE of the toy image model: the host's own image VAE, small, 4 pixels a latent.

    Raises:
        RuntimeError: the weights are missing from the pack, or some of them.
    """
    import comfy.sd

    state, metadata = weights.read(weights.IMAGE_VAE)
    vae = comfy.sd.VAE(
        sd={name: tensor.to(torch.float32) for name, tensor in state.items()},
        config={"params": image_model.vae_parameters()},
        metadata=metadata,
    )
    vae.throw_exception_if_invalid()
    _check_complete(vae.first_stage_model, state, weights.IMAGE_VAE.name)
    vae.downscale_ratio = vae.upscale_ratio = image_model.STRIDE
    return vae


def _check_complete(network: Any, state: dict[str, Tensor], name: str) -> None:
    """Refuse a file with gaps: the host would fill them with whatever lies in memory."""
    missing = network.state_dict().keys() - state.keys()
    if missing:
        raise RuntimeError(f"{name} lacks {len(missing)} weights; install FewShot Video again")
