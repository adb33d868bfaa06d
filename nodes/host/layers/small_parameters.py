"""Small parameters, which lie on the device for a run: the host would lend them as it lends large ones, or slower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .simulation import is_simulated
from .stored_weights import stored_bytes

MOST = 2**20  # bytes of a module


@contextmanager
def small_parameters_on(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Put copies of norms and of what blocks hold beside their layers on the device, for a while.

    A lent norm takes its turn at the host's streams, so that the layer behind it is copied that much later. What
    belongs to no layer, as the modulation of Wan's blocks, the host leaves where it was even on a card with room for
    everything; its copy in every pass is one that the host waits for, and until then nothing is lent ahead.

    Enter it once the model is loaded; the same objects come back at the end.
    """
    swapped: list[tuple[nn.Module, dict[str, Any], str, Tensor, Tensor]] = []
    try:
        for module in () if is_simulated() else network.modules():
            tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            away: list[tuple[dict[str, Any], str, Tensor]] = [
                (t, name, value)
                for t in tables
                for name, value in t.items()
                if value is not None and value.device != device
            ]
            if not _is_small(module, [value for _, _, value in away]):
                continue
            for table, name, tensor in away:
                copy = table[name] = _copied(tensor, device)
                swapped.append((module, table, name, tensor, copy))
        yield
    finally:
        for module, table, name, tensor, copy in swapped:
            if table.get(name) is copy and _is_lent(module):
                table[name] = tensor  # else the host has loaded or replaced it meanwhile: its word counts


def _is_small(module: nn.Module, away: list[Tensor]) -> bool:
    if len(list(module.children())):  # no layer
        return stored_bytes(away) <= MOST
    known = type(module).__module__.startswith(("comfy.", "torch."))  # others may move theirs in their own way
    return known and _is_lent(module) and all(value.ndim < 2 for value in away) and stored_bytes(away) <= MOST


def _is_lent(module: Any) -> bool:
    """Whether whoever computes with it asks where it lies: a layer that is not says that it lies on the device."""
    return bool(getattr(module, "comfy_cast_weights", True))


def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    copy = tensor.detach().to(device)
    return nn.Parameter(copy, requires_grad=False) if isinstance(tensor, nn.Parameter) else copy
