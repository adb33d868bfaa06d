"""AICL adapter files: safetensors that say what they are, for which base model, and how they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ...methods.aicl import AdapterSizes, build
from ..core.methods import AICL
from ..lora.file import load_lora, read_metadata
from ..lora.metadata import from_metadata, plain_value
from .sizes import sizes_from_text

SIZES, BASE_FAMILY, BASE_MODEL, DATA = "sizes", "base_family", "base_model", "training_data"
PRISM, INTEGRATIONS = "prism.", "integrations."  # what the names of tensors begin with


@dataclass(frozen=True)
class AiclAdapter:
    """An adapter as a file holds it.

    Raises:
        ValueError: a tensor is missing, unknown, of whole numbers or of another shape than the sizes say, or the base
            is not named.
    """

    sizes: AdapterSizes
    tensors: Mapping[str, Tensor]  # ``prism.*`` and ``integrations.*``
    base_family: str  # that it was trained on, as the pack names families
    record: Mapping[str, str] = field(default_factory=dict)  # base_model, training_data and what a trainer adds

    def __post_init__(self) -> None:
        if not self.base_family:
            raise ValueError("the AICL adapter does not say which base model it is for; train it again")
        whole = [name for name, tensor in self.tensors.items() if not tensor.is_floating_point()]
        if whole:
            raise ValueError(
                f"the AICL adapter's {whole[0]} holds {self.tensors[whole[0]].dtype}, numbers with fractions are "
                "needed; copy the file again, or train it again"
            )
        wanted = expected_shapes(self.sizes)
        shapes = {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        wrong = sorted(name for name in wanted.keys() | shapes.keys() if wanted.get(name) != shapes.get(name))
        if wrong:
            raise ValueError(
                f"the AICL adapter's {wrong[0]} is {shapes.get(wrong[0], 'missing')}, its sizes need "
                f"{wanted.get(wrong[0], 'none of that name')}; copy the file again, or train it again"
            )

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of a module, without the prefix."""
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def expected_shapes(sizes: AdapterSizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an adapter's tensors."""
    prism, integrations = build(sizes, device="meta")
    parts = ((PRISM, prism), (INTEGRATIONS, integrations))
    return {f"{prefix}{name}": tuple(v.shape) for prefix, part in parts for name, v in part.state_dict().items()}


def tensors_of(prism: torch.nn.Module, integrations: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all tensors of an adapter's modules on the CPU, under the names of a file."""
    parts = ((PRISM, prism), (INTEGRATIONS, integrations))
    return {
        f"{prefix}{name}": value.detach().to("cpu", copy=True)
        for prefix, part in parts
        for name, value in part.state_dict().items()
    }


def load_adapter(path: Path) -> AiclAdapter:
    """Read an adapter.

    Raises:
        ValueError: the file is no safetensors file, no AICL adapter, or damaged.
    """
    record = from_metadata(read_metadata(path))  # first: other files are refused before they are read
    if plain_value(record, "method") != AICL:
        raise ValueError(
            f"{path.name} is {describe_method(record)}, an AICL adapter is needed; choose a file that AICL Train made"
        )
    sizes = sizes_from_text(record.pop(SIZES, ""))
    family = record.pop(BASE_FAMILY, "")
    return AiclAdapter(sizes, dict(load_lora(path)), family, record)


def describe_method(record: Mapping[str, str]) -> str:
    """What a file of the pack is, for sentences."""
    method = plain_value(record, "method")
    return f"a file of the method {method}" if method else "not a file of FewShot Video"
