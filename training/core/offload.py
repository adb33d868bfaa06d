"""An optimiser's state out of the way for a while: previews need the device's memory, the state does not change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

CPU = torch.device("cpu")


@contextmanager
def offloaded(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Keep the state's tensors in the host's memory for a while, bit for bit, and bring each back to its place."""
    moved: list[tuple[dict[str, object], str, torch.device]] = []
    try:
        for state in optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.device.type != CPU.type:
                    moved.append((state, name, value.device))
                    state[name] = on_device(value, CPU)
        yield
    finally:
        for state, name, device in moved:
            value = state[name]
            if isinstance(value, Tensor):
                state[name] = on_device(value, device)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device."""
    return tensor.to(device)
