"""Convolution kernels as matrices while a network is trained, which is the form Muon works on."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

from .vae_training import Unflatten

_ENDING = ".parametrizations.weight.original"


def flatten_kernels(network: nn.Module) -> list[Tensor]:
    """Keep every kernel of ``network`` as a matrix; returns all its matrices that are worth Muon."""
    for layer in [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]:
        parametrize.register_parametrization(layer, "weight", Unflatten(layer.weight.shape))
    return [p for p in network.parameters() if p.ndim == 2 and min(p.shape) > 4]


def plain_weights(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights by parameter name of a network with flat kernels, under the host's names and shapes."""
    kernels = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    shapes = {f"{name}.weight": layer.weight.shape for name, layer in kernels}
    named = {name.replace(_ENDING, ".weight"): value for name, value in weights.items()}
    return {name: value.view(shapes.get(name, value.shape)) for name, value in named.items()}
