"""Low-rank adapters: the trainable path beside a frozen linear layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.batches import seeded_generator

KEY_PREFIX = "diffusion_model."  # the host's name for the bare network inside a model


class LoraAdapter(nn.Module):
    """``h(x) = (alpha / rank) up(down(x))``, added to the output of a frozen layer.

    ``down`` starts uniform in +-1/sqrt(in_features), ``up`` at zero, so an untrained adapter adds nothing.
    Alpha is a constant. Weights are fp32 and are cast to the input's dtype at each call. ``rows [out_features]`` is 0
    for outputs that get nothing, where only parts of a fused layer are trained.

    Source: LoRA, arXiv 2106.09685, section 4.1.
    Differs: the host's own trainable adapter starts with ``down`` at zero and also trains alpha.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        alpha: float,
        generator: torch.Generator,
        rows: Tensor | None = None,
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(in_features)
        down = torch.rand(rank, in_features, generator=generator) * (2 * bound) - bound
        self.lora_down = nn.Parameter(down)
        self.lora_up = nn.Parameter(torch.zeros(out_features, rank))
        self.rows: Tensor | None
        self.register_buffer("rows", rows, persistent=False)
        self.rank = rank
        self.alpha = float(alpha)

    @property
    def up(self) -> Tensor:
        """``up`` as it acts, ``[out_features, rank]``."""
        return self.lora_up if self.rows is None else self.lora_up * self.rows[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """The addition to the layer's output for its input ``x [..., in_features]``."""
        hidden = F.linear(x, self.lora_down.to(x.dtype))
        return F.linear(hidden * (self.alpha / self.rank), self.up.to(x.dtype))


class LoraAdapters:
    """Adapters by the name of the layer they belong to."""

    def __init__(
        self,
        layers: Mapping[str, nn.Linear],
        rank: int,
        alpha: float,
        seed: int,
        rows: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Fresh ones; ``rows`` are masks of the outputs that get something, by layer, where not all do."""
        rows = rows or {}
        # One stream a layer: the start of an adapter does not depend on which others are trained.
        self.by_name = {
            name: LoraAdapter(
                layer.in_features,
                layer.out_features,
                rank,
                alpha,
                seeded_generator(seed, 0, f"lora:{name}"),
                rows.get(name),
            )
            for name, layer in layers.items()
        }

    def __len__(self) -> int:
        return len(self.by_name)

    @property
    def names(self) -> list[str]:
        """Of the layers, in the network's order."""
        return list(self.by_name)

    def to(self, device: torch.device) -> LoraAdapters:
        """Move all adapters, in place."""
        for adapter in self.by_name.values():
            adapter.to(device)
        return self

    def parameters(self) -> Iterator[Tensor]:
        """What is trained; alpha is not among them."""
        for adapter in self.by_name.values():
            yield from adapter.parameters()

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """A copy under the host's key names, on the CPU; alpha is fp32 whatever the ``dtype``."""
        found: dict[str, Tensor] = {}
        for name, adapter in self.by_name.items():
            key = f"{KEY_PREFIX}{name}"
            found[f"{key}.lora_up.weight"] = adapter.up.detach().to("cpu", dtype, copy=True)
            found[f"{key}.lora_down.weight"] = adapter.lora_down.detach().to("cpu", dtype, copy=True)
            found[f"{key}.alpha"] = torch.tensor(adapter.alpha)
        return found
