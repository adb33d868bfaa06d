"""Modules of ours beside a network that the host runs on several devices at once, each with a copy of its own.

The host's MultiGPU CFG Split makes another network for each further device, and for each module that is managed beside
it; a prompt is then evaluated on one of them, in a thread of its own.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

CLONES = "multigpu"  # the host's names: of the models for further devices,
OPTIONS = "multigpu_options"  # of how fast they are,
DEVICE = "multigpu_thread_device"  # and, in the transformer options of a call, of the device it is on


def managed(module: torch.nn.Module, load_device: torch.device | None = None) -> Any:
    """A patcher that has the host load, unload and cast a module, and copy it for further devices."""
    import comfy.model_management as management
    from comfy.model_patcher import CoreModelPatcher

    device = management.get_torch_device() if load_device is None else load_device
    patcher = CoreModelPatcher(module, load_device=device, offload_device=management.unet_offload_device())
    patcher.cached_patcher_init = (_another, (module, device))
    return patcher


def _another(module: torch.nn.Module, device: torch.device, disable_dynamic: bool = False) -> Any:
    """A patcher over a copy, which the host asks for as it asks its loaders for theirs."""
    import comfy.model_management as management
    from comfy.model_patcher import CoreModelPatcher, ModelPatcher

    made = ModelPatcher if disable_dynamic else CoreModelPatcher
    return made(copy.deepcopy(module), load_device=device, offload_device=management.unet_offload_device())


def module_on(device: torch.device | None, patcher: Any, model: Any, key: str) -> torch.nn.Module:
    """The module of ``patcher``, or its copy where ``model`` is evaluated on another device.

    Args:
        device: what the transformer options of the call say; None where the host runs on one.
        model: the MODEL under way; ``patcher`` is one of its additional models under ``key``.
    """
    for clone in model.get_additional_models_with_key(CLONES) if device is not None else ():
        if clone.load_device == device:
            for one in clone.get_additional_models_with_key(key):
                if one.clone_base_uuid == patcher.clone_base_uuid:
                    return one.model
    return patcher.model


def on_one_device(model: Any) -> Any:
    """The MODEL without its copies for further devices: the same function, without weights that no step uses."""
    if not model.additional_models.get(CLONES) and OPTIONS not in model.model_options:
        return model
    clone = model.clone()
    clone.remove_additional_models(CLONES)
    clone.model_options.pop(OPTIONS, None)
    return clone
