"""Telling models apart cheaply: a finished run is not repeated, a changed model is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....training.lora.metadata import BASE_PATCH, patch_words

SAMPLES = 64  # values read of each tensor; reading all of a 14 B model would take minutes


def model_fingerprint(model: Any) -> str:
    """Digest of a host MODEL: class, every weight's name, shape and some values, and the patches on it."""
    return weights_digest(model, type(model.model).__name__, prefix="diffusion_model.")


def describe_base(model: Any) -> str:
    """Class and size of a host MODEL, for sentences."""
    count = sum(parameter.numel() for parameter in model.model.diffusion_model.parameters())
    return f"{type(model.model).__name__} with {count / 1e6:.2f} M parameters"


def patch_of(model: Any) -> tuple[int, int, int] | None:
    """Latents of a token of a host MODEL in time, height and width; None where the network does not say."""
    network = model.model.diffusion_model
    patch = getattr(network, "patch_size", None)
    if isinstance(patch, int):  # CogVideoX
        return getattr(network, "patch_size_t", None) or 1, patch, patch
    return (patch[0], patch[1], patch[2]) if isinstance(patch, (tuple, list)) and len(patch) == 3 else None


def check_patch(model: Any, record: Mapping[str, str], name: str) -> None:
    """Refuse what was trained on tokens of another size: layers and widths are alike there, and mean something else.

    Args:
        model: a host MODEL.
        record: of a file; those of earlier versions of the pack do not say the size, and nothing is checked.
        name: of the file, for the sentence.

    Raises:
        ValueError: the sizes differ; both bases are named.
    """
    trained_on, own = record.get(BASE_PATCH, ""), patch_text(model)
    if trained_on and own and trained_on != own:
        raise ValueError(
            f"{name} was trained on {record.get('base_model', 'a model')} with tokens of {trained_on} latents, "
            f"the model is {describe_base(model)} with tokens of {own}; load the base it was trained on"
        )


def patch_text(model: Any) -> str:
    """Size of a MODEL's tokens as files and sentences have it, like ``1 x 2 x 2``; empty where it is not known."""
    return patch_words(patch_of(model) or ())


def weights_digest(patcher: Any, *settings: Any, prefix: str = "") -> str:
    """Digest of settings and weights: names, shapes, types, some values of each, and the patches on them.

    The weights are the original ones also while a LoRA is merged into them. The host's own list of key
    patches is not asked, it fails on quantised weights.
    """
    digest = hashlib.sha256()
    _add(digest, settings)
    for entries in (original_weights(patcher), patcher.patches):
        for name in sorted(name for name in entries if name.startswith(prefix)):
            _add(digest, (name, entries[name]))
    return digest.hexdigest()


def original_weights(patcher: Any) -> dict[str, Any]:
    """The model's state dict with what the host keeps aside for weights it has patched."""
    weights = dict(patcher.model_state_dict())
    # Of a quantised layer; it comes and goes with the patches, the scale and the type say the same.
    weights = {name: weight for name, weight in weights.items() if not name.endswith(".comfy_quant")}
    kept = {name: entry.weight for name, entry in patcher.backup.items()}
    kept |= {name: entry[0] for name, entry in getattr(patcher, "hook_backup", {}).items()}
    for name, weight in kept.items():
        parts = {name: weight}
        if _is_wrapper(weight) and hasattr(weight, "state_dict"):
            parts = weight.state_dict(name)  # the same names as in the model's: values and scales
        weights |= parts
    return weights


def _add(digest: Any, value: Any) -> None:
    """Feed a value, however nested; unknown objects count by their class and their tensors."""
    if isinstance(value, Tensor):
        add_tensor(digest, value)
    elif isinstance(value, (list, tuple)):
        digest.update(b"(")
        for part in value:
            _add(digest, part)
        digest.update(b")")
    elif isinstance(value, (str, int, float, bool, type(None))):
        digest.update(repr(value).encode())
    else:
        digest.update(type(value).__name__.encode())
        _add(digest, getattr(value, "weights", None))


def add_tensor(digest: Any, tensor: Any, samples: int | None = SAMPLES) -> None:
    """Feed shape, type and raw values; of a wrapper (a quantised weight) those of all tensors inside.

    Args:
        digest: From hashlib.
        tensor: On any device.
        samples: Values that are read, evenly spread; None: all of them.
    """
    digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
    if _is_wrapper(tensor):
        names = tensor.__tensor_flatten__()[0] if hasattr(tensor, "__tensor_flatten__") else ()
        for name in names:
            _add(digest, getattr(tensor, name))
        return
    if tensor.is_meta or not tensor.numel():
        return
    flat = tensor.detach().as_subclass(Tensor).reshape(-1)
    values = flat[:: max(1, flat.numel() // samples) if samples else 1].to("cpu").contiguous()
    digest.update(values.view(torch.uint8).numpy())


def _is_wrapper(tensor: Any) -> bool:
    """Whether the tensor has no values of its own, only tensors inside."""
    plain: Any = Tensor
    return type(tensor).__torch_dispatch__ is not plain.__torch_dispatch__
