"""A model whose linear layers are packed as those of GGUF node packs: their own tensor class, unpacked at each call.

They derive from the host's layers and have ``get_weight`` and ``cast_bias_weight`` of their own, as ComfyUI-GGUF's
(its ops.py). A packed row is one byte a number and then the four bytes of its scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.ops
import comfy.sd
import tiny_wan
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn


class Packed(torch.Tensor):
    """Bytes, or plain numbers, that say they have the shape of the weight; like GGUF's they do not let go of it."""

    logical: tuple[int, ...]

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self.logical) if "logical" in vars(self) else self.size()

    def to(self, *args: Any, **options: Any) -> Any:
        return wrapped(super().to(*args, **options).as_subclass(Tensor), tuple(self.shape))

    def clone(self, *_args: Any, **_options: Any) -> Any:
        return self

    def detach(self, *_args: Any, **_options: Any) -> Any:
        return self


def wrapped(data: Tensor, logical: tuple[int, ...]) -> Packed:
    found = data.as_subclass(Packed)
    found.logical = logical
    return found


def pack(weight: Tensor) -> Packed:
    """``weight [out, in]`` as bytes ``[out, in + 4]``."""
    scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    codes = (weight / scale).round().to(torch.int8).view(torch.uint8)
    return wrapped(torch.cat([codes, scale.float().view(torch.uint8)], dim=1), tuple(weight.shape))


def unpack(packed: Tensor) -> Tensor:
    """Inverse of ``pack``, up to rounding; plain numbers come back as they are."""
    data = packed.as_subclass(Tensor)
    if data.dtype != torch.uint8:
        return data
    codes, scale = data[:, :-4].contiguous(), data[:, -4:].contiguous()
    return codes.view(torch.int8).float() * scale.view(torch.float32)


class PackedOps(comfy.ops.manual_cast):
    """The host's layers, the linear ones packed."""

    class Linear(comfy.ops.manual_cast.Linear):
        """Unpacks its weight at each call, in reach of autograd."""

        def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None) -> None:  # noqa: ARG002
            nn.Module.__init__(self)
            self.in_features, self.out_features = in_features, out_features
            self.weight: Any = None
            self.bias: Any = None

        def _load_from_state_dict(self, state_dict, prefix, *_args: Any) -> None:
            for name in ("weight", "bias"):
                if f"{prefix}{name}" in state_dict:
                    setattr(self, name, nn.Parameter(state_dict[f"{prefix}{name}"], requires_grad=False))

        def get_weight(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
            return unpack(tensor).to(dtype)

        def cast_bias_weight(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
            bias = None if self.bias is None else self.get_weight(self.bias.to(like.device), like.dtype)
            return self.get_weight(self.weight.to(like.device), like.dtype), bias

        def forward_comfy_cast_weights(self, input: Tensor) -> Tensor:
            return nn.functional.linear(input, *self.cast_bias_weight(input))


class BlindOps(PackedOps):
    """Packed layers that leave autograd out."""

    class Linear(PackedOps.Linear):
        """A frozen product: right numbers, and nothing for what lies before it to learn from."""

        @torch.no_grad()
        def forward_comfy_cast_weights(self, input: Tensor) -> Tensor:
            return super().forward_comfy_cast_weights(input)


class CrookedOps(PackedOps):
    """Packed layers whose gradient is another layer's."""

    class Linear(PackedOps.Linear):
        """Rounds its input in a way that autograd takes for a factor."""

        def forward_comfy_cast_weights(self, input: Tensor) -> Tensor:
            return super().forward_comfy_cast_weights(input.detach() + 0.5 * (input - input.detach()))


def load(folder: Path, operations: Any = PackedOps, unpacked: bool = False) -> Any:
    """A tiny Wan with packed linear layers, the last one's not packed; or the same numbers in ordinary layers."""
    path = tiny_wan.save_tiny_wan(folder / "wan.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    with torch.inference_mode():
        weights = load_file(path)
        state: dict[str, Any] = dict(weights)
        for name in [name for name, value in weights.items() if value.ndim == 2]:
            plain = name.startswith("head.")
            packed = wrapped(weights[name], tuple(weights[name].shape)) if plain else pack(weights[name])
            state[name] = unpack(packed) if unpacked else packed
        options = {} if unpacked else {"custom_operations": operations}
        return comfy.sd.load_diffusion_model_state_dict(state, model_options=options, metadata=metadata)
