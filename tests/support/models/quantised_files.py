"""Tiny networks in the quantised formats that people's files have, and the same numbers unquantised."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

WAN_LAYERS = r"blocks\.\d+\.((self|cross)_attn\.[qkvo]|ffn\.[02])"
WIDE = {"dim": 256, "ffn_dim": 512}  # in groups of 256, as ConvRot needs
FP8, FP8_OLD, FP8_E5M2, INT8, INT8_ROWS, CONVROT, W4A4, MXFP8, NVFP4 = KINDS = (
    "scaled fp8", "scaled fp8, old keys", "scaled fp8 e5m2", "int8 tensorwise", "int8 by row", "int8 ConvRot",
    "ConvRot w4a4", "mxfp8", "nvfp4",
)  # fmt: skip
# The host's name of the format, its layout, how it is quantised, and what the file says besides the format.
_FORMATS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    FP8: ("float8_e4m3fn", "TensorCoreFP8E4M3Layout", {"scale": "recalculate"}, {}),
    FP8_E5M2: ("float8_e5m2", "TensorCoreFP8E5M2Layout", {"scale": "recalculate"}, {}),
    INT8: ("int8_tensorwise", "TensorWiseINT8Layout", {}, {}),
    INT8_ROWS: ("int8_tensorwise", "TensorWiseINT8Layout", {"per_channel": True}, {}),
    CONVROT: ("int8_tensorwise", "TensorWiseINT8Layout", {"per_channel": True, "convrot": True}, {"convrot": True}),
    W4A4: ("convrot_w4a4", "TensorCoreConvRotW4A4Layout", {}, {}),
    MXFP8: ("mxfp8", "TensorCoreMXFP8Layout", {}, {}),
    NVFP4: ("nvfp4", "TensorCoreNVFP4Layout", {"scale": "recalculate"}, {}),
}


def available() -> list[str]:
    """The kinds that this host knows."""
    from comfy.quant_ops import QUANT_ALGOS

    return [kind for kind in KINDS if kind == FP8_OLD or _FORMATS[kind][0] in QUANT_ALGOS]


def quantise(
    state: dict[str, Tensor], kind: str, layers: str = WAN_LAYERS
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict with the linear layers whose whole name matches in this kind, and one with what they then are."""
    from comfy.quant_ops import QuantizedTensor

    named, layout, how, says = _FORMATS[FP8 if kind == FP8_OLD else kind]
    stored, plain = dict(state), dict(state)
    for layer in [name[:-7] for name in state if name.endswith(".weight") and re.fullmatch(layers, name[:-7])]:
        weight = QuantizedTensor.from_float(state[f"{layer}.weight"], layout, **how)
        plain[f"{layer}.weight"] = weight.dequantize().contiguous()
        parts = weight.state_dict(f"{layer}.weight")
        if kind == FP8_OLD:
            parts[f"{layer}.scale_weight"] = parts.pop(f"{layer}.weight_scale")
        else:
            conf = json.dumps({"format": named, **says}).encode()
            parts[f"{layer}.comfy_quant"] = torch.tensor(list(conf), dtype=torch.uint8)
        stored |= {name: part.contiguous() for name, part in parts.items()}
    if kind == FP8_OLD:
        stored["scaled_fp8"] = torch.empty(2, dtype=torch.float8_e4m3fn)
    return stored, plain


def quantised_wan(folder: Path, kind: str, name: str = "", **config: int) -> tuple[Any, Any]:
    """Two host MODELs: a tiny Wan quantised in this kind, and one of the same numbers in fp32."""
    import tiny_wan

    source = tiny_wan.save_tiny_wan(folder / "source.safetensors", **{**WIDE, **config})
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata()
    models = []
    for label, state in zip(("stored", "plain"), quantise(load_file(source), kind), strict=True):
        path = folder / f"{name or kind.replace(', ', '_').replace(' ', '_')}_{label}.safetensors"
        save_file(state, path, metadata=metadata)
        models.append(tiny_wan.load_tiny_wan(path))
    return models[0], models[1]


def with_quantised_product(model: Any, on: bool = True) -> Any:
    """The model as a card with kernels for its format computes, whatever the CPU's host has chosen; ``on`` or off."""
    for module in model.model.diffusion_model.modules():
        if hasattr(module, "_full_precision_mm"):
            module._full_precision_mm = not on
    return model


def unpacking(model: Any) -> Any:
    """The model with every layer made to dequantise its weight for its product, as for an input of another type."""
    with torch.inference_mode():
        for module in model.model.diffusion_model.modules():
            if getattr(module, "quant_format", None) is not None:
                weight = module.weight
                params = replace(weight._params, orig_dtype=torch.bfloat16)
                module.weight = torch.nn.Parameter(type(weight)(weight._qdata, weight._layout_cls, params), False)
    model.force_cast_weights = True  # which the host hands to the layers when it loads them
    return model


def stored_parts(model: Any) -> int:
    """How many layers of a MODEL hold quantised weights."""
    modules = model.model.diffusion_model.modules()
    return sum(hasattr(getattr(module, "weight", None), "_qdata") for module in modules)


def quantised_unet(kind: str) -> tuple[Any, Any]:
    """Two host MODELs of a tiny Stable Diffusion 1.x: its attention quantised, and the same numbers in fp32."""
    import comfy.model_base
    import comfy.supported_models
    import tiny_unet
    from comfy.model_patcher import ModelPatcher

    source = tiny_unet.fresh_unet()
    state = dict(source.model.diffusion_model.state_dict())
    stored, plain = quantise(state, kind, r".*\.attn[12]\.(to_[qkv]|to_out\.0)")
    models: list[Any] = []
    for numbers, quantised in ((stored, True), (plain, False)):
        config = comfy.supported_models.SD15({**source.model.model_config.unet_config})
        config.quant_config = {"mixed_ops": True} if quantised else None
        config.manual_cast_dtype = torch.float32 if quantised else None  # the type it computes in
        with torch.inference_mode():
            base = comfy.model_base.BaseModel(config, comfy.model_base.ModelType.EPS, device="cpu")
            base.diffusion_model.load_state_dict({name: value.clone() for name, value in numbers.items()})
        base.eval()
        models.append(ModelPatcher(base, source.load_device, source.offload_device))
    return models[0], models[1]
