"""Host networks beside diffusers' of the same sizes, and LoRA files in the layout of the TIC-FT authors for them."""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tiny_cogvideox
import tiny_wan
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

RANK = 3
ATTENTION = r".*\.to_(q|k|v|out\.0)"  # what the authors train
HEADS = {"num_attention_heads": 2, "attention_head_dim": 24}
WAN = {**HEADS, "text_dim": 32, "freq_dim": 32, "ffn_dim": 64, "num_layers": 2}
COGVIDEOX = {**tiny_cogvideox.CONFIG, "attention_bias": True}
# Weights that no LoRA holds: the host's names -> diffusers' names.
NORMS = {
    "Wan": (
        (r"^head\.modulation", "scale_shift_table"), (r"\.modulation$", ".scale_shift_table"),
        (r"\.norm3\.", ".norm2."), (r"\.self_attn\.", ".attn1."), (r"\.cross_attn\.", ".attn2."),
    ),
    "CogVideoX": (
        (r"^blocks\.(\d+)\.(norm_[qk])", r"transformer_blocks.\1.attn1.\2"), (r"^blocks", "transformer_blocks"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A family: the file of a tiny model for the host, and diffusers' network of the same sizes."""

    family: str
    save: Callable[[Path], Path]
    diffusers: Callable[[], nn.Module]

    def names(self) -> Any:
        """The pack's table of this family."""
        from pack.training.lora.keys import TABLES

        return next(table for table in TABLES if table.family == self.family)

    def load(self) -> Any:
        """A host MODEL, loaded on its own."""
        with TemporaryDirectory() as folder:
            return tiny_wan.load_tiny_wan(self.save(Path(folder) / "model.safetensors"))


def _wan(**more: Any) -> nn.Module:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**WAN, **more)


def _cogvideox(**more: Any) -> nn.Module:
    from diffusers import CogVideoXTransformer3DModel

    return CogVideoXTransformer3DModel(**COGVIDEOX, **more)


PAIRS = {
    "Wan 2.1": Pair("Wan", tiny_wan.save_tiny_wan, _wan),
    "CogVideoX 1.0": Pair("CogVideoX", tiny_cogvideox.save_tiny_cogvideox, _cogvideox),
    "CogVideoX 1.5": Pair(
        "CogVideoX",
        lambda path: tiny_cogvideox.save_tiny_cogvideox(path, **tiny_cogvideox.LATER),
        lambda: _cogvideox(**tiny_cogvideox.LATER),
    ),
}


@cache
def shared_model(name: str) -> Any:
    """A host MODEL that all tests share; what they load comes on clones."""
    return PAIRS[name].load()


atexit.register(shared_model.cache_clear)  # while the host can still unload it


def layers_of(network: nn.Module) -> dict[str, torch.Size]:
    """Shape of the weight of every linear and convolution."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    return {name: layer.weight.shape for name, layer in network.named_modules() if isinstance(layer, kinds)}


def matrices(layers: dict[str, torch.Size], rank: int = RANK, seed: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """Random A and B of each layer; convolutions have their kernel in A, as in PEFT."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in layers.items():
        a = torch.randn(rank, *shape[1:], generator=generator) * 0.2
        b = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator) * 0.2
        found[name] = (a, b)
    return found


def product(a: Tensor, b: Tensor) -> Tensor:
    """B A in the shape of the layer's weight."""
    return (b.flatten(1) @ a.flatten(1)).reshape(b.shape[0], *a.shape[1:])


def file_tensors(
    pairs: dict[str, tuple[Tensor, Tensor]], prefix: str = "transformer.", adapter: str = ""
) -> dict[str, Tensor]:
    """Keys as diffusers (or PEFT, with the adapter's name) saves them."""
    ending = f"{adapter}.weight" if adapter else "weight"
    return {
        f"{prefix}{name}.lora_{matrix}.{ending}": value
        for name, (a, b) in pairs.items()
        for matrix, value in (("A", a), ("B", b))
    }


def save_lora_file(tensors: dict[str, Tensor], name: str, metadata: dict[str, str] | None = None) -> str:
    """Put a LoRA where the host lists it; returns its name."""
    import folder_paths

    save_file(tensors, Path(folder_paths.get_folder_paths("loras")[0]) / name, metadata=metadata)
    return name


def weights_of(model: Any) -> dict[str, Tensor]:
    """Copies of the bare weights after the host has loaded the model, with everything patched in."""
    import comfy.model_management

    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model])
    return tiny_wan.weights_of(model)


def diffusers_weights(weights: dict[str, Tensor], pair: Pair, to_diffusers: Callable[[str], str | None]) -> Any:
    """The host's bare weights under diffusers' names."""
    moved = {}
    for key, value in weights.items():
        layer, _, end = key.rpartition(".")
        name = to_diffusers(layer)
        if name is None:
            name, end = key, ""
            for pattern, replacement in NORMS[pair.family]:
                name = re.sub(pattern, replacement, name)
        moved[f"{name}.{end}" if end else name] = value
    return moved


def load(name: str, file: str, strength: float = 1.0) -> tuple[Any, dict[str, Any]]:
    """TICFTLoadLoRA as the executor runs it, on the shared model."""
    from pack.nodes.tic_ft_train import TICFTLoadLoRA

    with torch.inference_mode():
        return TICFTLoadLoRA.execute(shared_model(name), file, strength).result


def forged(name: str, pattern: str = ATTENTION, rank: int = RANK) -> dict[str, tuple[Tensor, Tensor]]:
    """Random A and B for the layers of a family, under diffusers' names."""
    layers = layers_of(PAIRS[name].diffusers())
    return matrices({key: shape for key, shape in layers.items() if re.fullmatch(pattern, key)}, rank)


def expected(name: str, pairs: dict[str, tuple[Tensor, Tensor]], scale: float) -> dict[str, Tensor]:
    """Every bare weight of the host's network with ``scale B A`` added to those of the LoRA."""
    names = PAIRS[name].names()
    weights = weights_of(shared_model(name))
    for layer, matrices in pairs.items():
        weights[f"{names.to_host(layer)}.weight"] += scale * product(*matrices)
    return weights


def check_weights(model: Any, weights: dict[str, Tensor]) -> None:
    """Compare all bare weights, those that no LoRA holds included."""
    found = weights_of(model)
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-7, msg=lambda text, key=key: f"{key}: {text}")


def authors(pairs: Any) -> tuple[dict[str, Tensor], dict[str, str], float]:
    """As the authors' trainer saves it; here with an alpha that is not the rank."""
    config = {"r": RANK, "lora_alpha": 6, "init_lora_weights": True, "target_modules": "blocks.*(to_q)"}
    return file_tensors(pairs), {"lora_config": json.dumps(config), "format": "pt"}, 6 / RANK
