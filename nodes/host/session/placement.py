"""Where a model's weights lie while it is trained: on the device as far as a step leaves room, else in host memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ....training.distributed.processes import processes
from ..layers.simulation import is_simulated, patched_for_simulation
from ..layers.stored_weights import is_linear, is_stored_otherwise, stored_bytes

EVERYTHING = 10**20  # bytes: whatever else is loaded leaves the device
SHARED = ("cpu", "mps")  # devices that compute in the memory in which weights would wait


@dataclass(frozen=True)
class Room:
    """What a session leaves free on a device, in bytes."""

    step: float = 0.0  # beside the weights
    most: float = math.inf  # of weights on it


@dataclass(frozen=True)
class Placed:
    """Where a session's weights lie, in bytes."""

    device: torch.device
    resident: float
    lent: float = 0.0


ALL = Room()


def has_own_memory(device: torch.device) -> bool:
    """Whether weights can wait elsewhere: the device's memory is its own, and the host knows what is free of it."""
    import comfy.model_management as management

    return device.type not in SHARED and not management.is_directml_enabled() and management.lowvram_available


def free_for_training(device: torch.device) -> float:
    """Bytes of a device that are free once all models have left it, what the host leaves to others taken off."""
    import comfy.model_management as management

    free: Any = management.get_free_memory(device)
    loaded = sum(
        one.model_loaded_memory() for one in management.current_loaded_models if one.device == device and one.model
    )
    return float(free) + loaded - management.extra_reserved_memory()


def lending_buffer(model: Any) -> float:
    """Bytes on the device for lent weights under way: the largest layer in use and those the host's streams bring."""
    import comfy.model_management as management

    stored, cast = 0, 0
    dtype = model.model.get_dtype_inference()
    for layer in model.model.diffusion_model.modules():
        size = stored_bytes(layer.parameters(recurse=False))
        if size and is_linear(layer) and is_stored_otherwise(layer, dtype):
            cast = max(cast, layer.in_features * layer.out_features * dtype.itemsize)
        stored = max(stored, size)
    return float(stored * (1 + management.NUM_STREAMS) + cast)


def load_for_training(model: Any, room: Room = ALL) -> Placed:
    """Bring the model onto its device through the host's model management; everything else may leave.

    As many weights as ``room`` allows lie on the device. The host keeps the others in its memory and lends them layer
    by layer, with its own streams. A base that is to be split over processes stays in the computer's memory.
    """
    import comfy.model_management as management

    device: torch.device = model.load_device
    if is_simulated():
        patched_for_simulation(model)
        return Placed(torch.device("cpu"), 0.0)
    if processes().splits:  # from the computer's memory, block by block: the card would not hold all of it
        model.load_device = torch.device("cpu")
    # The host's estimate lacks the backward pass, so room is made as its own trainer does. Loaded as its nodes load:
    # what is loaded outside inference mode, it cannot move inside where it is quantised.
    with torch.inference_mode():
        if has_own_memory(model.load_device):
            management.load_models_gpu([model], memory_required=EVERYTHING, minimum_memory_required=room.step)
            _lend_more(model, room)
        else:
            management.load_models_gpu([model], memory_required=EVERYTHING, force_full_load=True)
    resident = model.loaded_size()
    return Placed(device, resident, max(0, model.model_size() - resident))


def _lend_more(model: Any, room: Room) -> None:
    """Where the host has kept more on the device than there is room for: on some it always takes a share of it."""
    import comfy.model_management as management

    free: Any = management.get_free_memory(model.load_device)
    buffer = getattr(model.model, "model_offload_buffer_memory", 0)
    excess = max(room.step + buffer - float(free), model.loaded_size() - room.most)
    if excess > 0 and model.loaded_size() > 0:
        model.partially_unload(model.offload_device, excess)
