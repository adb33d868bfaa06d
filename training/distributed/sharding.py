"""The frozen base split over the processes of a run: each holds a share of every block, gathered where it computes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.distributed import _composable_state


def mesh_of(kind: str) -> Any:
    """All processes of the group on devices of a kind, as torch wants them told; made by all of them together."""
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(kind, (dist.get_world_size(),))


@contextmanager
def split(network: nn.Module, blocks: Sequence[nn.Module], device: torch.device, mesh: Any) -> Iterator[None]:
    """Let each process hold 1 / n of the parameters of each block on the device, for a while.

    A block is whole from just before its forward until it is done, and again in the backward pass, also where that
    computes it once more. What the blocks held before is theirs again at the end, and is neither moved nor changed.
    Every forward and backward pass is made by all processes together, or they wait for each other for ever.

    Args:
        network: Calls the blocks; the rest of it stays as it is.
        blocks: Have parameters that get no gradients.
        device: Where shares lie and blocks are gathered.
        mesh: Of ``mesh_of``.

    Raises:
        RuntimeError: this PyTorch cannot leave parts of a network whole.

    Source: FSDP2, ``torch.distributed.fsdp.fully_shard``.
    """
    from torch.distributed.fsdp import fully_shard

    if "ignored_params" not in inspect.signature(fully_shard).parameters:
        raise RuntimeError(
            f"PyTorch {torch.__version__} cannot leave parts of a network whole, which --shard-base needs; install a "
            "newer one, or start without it"
        )
    before = [_Before(module) for module in network.modules()]
    try:
        inside = {module for block in blocks for module in block.modules()}
        for module in network.modules():
            _hold_anew(module, None if module in inside else device)
        for block in blocks:
            fully_shard(block, mesh=mesh, ignored_params=_scalars(block, device))
        # The network itself holds no share: it has the next block gathered while one computes.
        rest = {parameter for module in network.modules() if module not in inside for parameter in _own(module)}
        fully_shard(network, mesh=mesh, ignored_params=rest | _scalars(network, device))
        yield
    finally:
        for one in before:
            one.restore()


def _hold_anew(module: nn.Module, device: torch.device | None) -> None:
    """Have a module's tensors in new objects, on a device or where they are: torch moves those of blocks in place."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = nn.Parameter(parameter.detach().to(device), requires_grad=False)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else buffer.detach().to(device)


def _scalars(module: nn.Module, device: torch.device) -> set[nn.Parameter]:
    """Parameters of one number, which nothing can be split of, brought to the device."""
    found = {parameter for parameter in module.parameters() if parameter.ndim == 0}
    for parameter in found:
        parameter.data = parameter.data.to(device)
    return found


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


class _Before:
    """What a module was: its class, its own attributes, and the tables of its tensors and hooks."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.kind, self.own = module, type(module), dict(vars(module))
        self.tables: dict[str, Any] = {
            name: value.copy() for name, value in self.own.items() if isinstance(value, dict)
        }

    def restore(self) -> None:
        """Make it that again; objects that others hold, such as a table of hooks, stay the same objects."""
        self.module.__class__ = self.kind
        vars(self.module).clear()
        vars(self.module).update(self.own)
        for name, table in self.tables.items():
            own: Any = self.own[name]
            own.clear()
            own.update(table)
        _composable_state._module_state_mapping.pop(self.module, None)  # torch has no way back of its own
