"""A process that holds a share of a small network's blocks: torch alone, no host.

python tests/support/training/split_engine.py FOLDER

writes what it holds, computes and gets back into FOLDER, with the process's number.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from killed_training import load_pack
from torch import nn

WIDTH, DEPTH = 32, 4


class Block(nn.Module):
    """Two products, a number alone, and a table that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(3 * WIDTH, WIDTH)
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.register_buffer("shift", torch.linspace(-1, 1, WIDTH))
        self.seen: list[int] = []  # bytes that all blocks held in this process while this one computed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, WIDTH]``."""
        return x + self.scale * self.second(torch.tanh(self.first(x + self.shift)))


class Network(nn.Module):
    """Blocks between two layers that are in none."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.before, self.after = nn.Linear(8, WIDTH), nn.Linear(WIDTH, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, 8]``."""
        x = self.before(x)
        for block in self.blocks:
            x = block(x)
        return self.after(x)


def held(network: Network) -> int:
    """Bytes of the blocks' parameters in this process."""
    return sum(
        getattr(parameter, "_local_tensor", parameter).untyped_storage().nbytes()
        for block in network.blocks
        for parameter in block.parameters()
    )


def computed(network: Network, repeat: bool) -> dict[str, Any]:
    """Output, and the gradient of a factor in each block that is none of the network's parameters."""
    from torch.utils.checkpoint import checkpoint

    factors = torch.ones(DEPTH, requires_grad=True)
    handles = []
    for i, block in enumerate(network.blocks):
        block.first.register_forward_hook(lambda *_, block=block: block.seen.append(held(network)))
        handles.append(block.second.register_forward_hook(lambda _m, _i, out, i=i: out * factors[i]))
        if repeat:
            forward = block.forward
            block.forward = lambda x, forward=forward: checkpoint(forward, x, use_reentrant=False)
    out = network(torch.linspace(-1, 1, 24).view(3, 8))
    out.square().sum().backward()
    for handle in handles:
        handle.remove()
    return {"out": out.detach(), "gradient": factors.grad, "seen": [list(block.seen) for block in network.blocks]}


def main() -> None:
    """Do it whole, and split."""
    from pack.training.distributed.group import joined
    from pack.training.storage.state_file import write_state

    with joined(cpu=True, splits=True) as group:
        results: dict[str, Any] = {"whole": held(Network())}
        for name, repeat in (("plain", False), ("checkpointed", True)):
            alone = computed(Network(), repeat)
            network = Network()
            before = dict(network.named_parameters())
            keys = [sorted(vars(module)) for module in network.modules()]
            with group.split(network, list(network.blocks), torch.device("cpu")):
                inside = {"held": held(network), **computed(network, repeat), "held after": held(network)}
            again = dict(network.named_parameters())
            same = all(again[key] is value for key, value in before.items()) and again.keys() == before.keys()
            kinds = [type(module).__name__ for module in network.modules()]
            results[name] = {
                "alone": alone, "split": inside, "same": same, "kinds": kinds,
                "keys": keys == [sorted(vars(module)) for module in network.modules()],
                "out again": network(torch.linspace(-1, 1, 24).view(3, 8)),
            }  # fmt: skip
        write_state(Path(sys.argv[1]) / f"{group.rank}.safetensors", results)


if __name__ == "__main__":
    load_pack()
    from no_clock import wait_for_peers

    wait_for_peers()
    main()
    sys.stdout.flush()
