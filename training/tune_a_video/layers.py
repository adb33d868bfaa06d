"""What Tune-A-Video trains: the temporal attention, and the queries of the network's own attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...methods.tune_a_video import TemporalLayers
from ..lora.layers import KEY_PREFIX, LoraAdapters

TEMPORAL, QUERIES = "temporal.", "queries."  # what the names of tensors in a file begin with


class WeightDelta(nn.Module):
    """``dW x``, added to the output of a frozen layer ``W x + b``; it starts at zero. Weights are fp32.

    Training dW is training W, to the same gradients, while the loaded W stays as it is.

    Differs: weight decay draws the weight back to the base's and not to zero; the authors' code decays W itself.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.delta = nn.Parameter(torch.zeros(layer.out_features, layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """The addition to the layer's output for its input ``x [..., in_features]``."""
        return F.linear(x, self.delta.to(x.dtype))


class WeightDeltas:
    """Changes of whole weights by the name of their layer; what ``LoraAdapters`` is for low-rank ones."""

    def __init__(self, layers: Mapping[str, nn.Linear]) -> None:
        self.by_name = {name: WeightDelta(layer) for name, layer in layers.items()}

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """A copy by the layers' names, on the CPU."""
        return {name: layer.delta.detach().to("cpu", dtype, copy=True) for name, layer in self.by_name.items()}


class TunedLayers:
    """All that is trained: temporal attention whole, queries whole or low-rank."""

    def __init__(self, temporal: TemporalLayers, queries: WeightDeltas | LoraAdapters) -> None:
        self.temporal, self.queries = temporal, queries
        self.names = [*(f"{TEMPORAL}{name}" for name in temporal.by_name), *(f"{QUERIES}{n}" for n in queries.by_name)]

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device) -> TunedLayers:
        """Move all layers, in place."""
        self.temporal.to(device)
        for layer in self.queries.by_name.values():
            layer.to(device)
        return self

    def parameters(self) -> Iterator[Tensor]:
        """What is trained, in the order of the names."""
        yield from self.temporal.parameters()
        for layer in self.queries.by_name.values():
            yield from layer.parameters()

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """A copy under the names of a file, on the CPU."""
        temporal = {f"{TEMPORAL}{name}": value.to(dtype) for name, value in self.temporal.tensors().items()}
        queries = self.queries.tensors(dtype)
        return temporal | {f"{QUERIES}{name.removeprefix(KEY_PREFIX)}": value for name, value in queries.items()}


def new_queries(layers: Mapping[str, nn.Linear], rank: int, alpha: float, seed: int) -> WeightDeltas | LoraAdapters:
    """Untrained changes of the queries: of this rank, or of the whole weights at rank 0."""
    return LoraAdapters(layers, rank, alpha, seed) if rank else WeightDeltas(layers)
