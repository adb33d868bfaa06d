"""Telling models apart cheaply: a finished run is not repeated, a changed model is noticed."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

SAMPLES = 64  # values read of each tensor; reading all of a 14 B model would take minutes


def model_fingerprint(model: Any) -> str:
    """Digest of a host MODEL: class, every weight's name, shape and some values, and the patches on it."""
    digest = hashlib.sha256(type(model.model).__name__.encode())
    for key, (weight, *patches) in sorted(model.get_key_patches("diffusion_model.").items()):
        digest.update(key.encode())
        _add(digest, weight[0] if isinstance(weight, tuple) else weight)
        for patch in patches:
            _add(digest, patch)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    """Feed a value, however nested; unknown objects count by their class and their tensors."""
    if isinstance(value, Tensor):
        digest.update(_sample(value))
    elif isinstance(value, (list, tuple)):
        for part in value:
            _add(digest, part)
    elif isinstance(value, (str, int, float, bool, type(None))):
        digest.update(repr(value).encode())
    else:
        digest.update(type(value).__name__.encode())
        _add(digest, getattr(value, "weights", None))


def _sample(tensor: Tensor) -> bytes:
    shape = repr((tuple(tensor.shape), tensor.dtype)).encode()
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.is_meta or not tensor.numel():
        return shape
    flat = tensor.detach().reshape(-1)
    values = flat[:: max(1, flat.numel() // SAMPLES)].to("cpu").to(torch.float64)
    return shape + values.numpy().tobytes()
