"""AdamW whose state takes two bytes a weight instead of eight, in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

BLOCK = 256  # weights that share one scale
LEAST = 4096  # smaller tensors keep their state in fp32: there is nothing to gain


class AdamW8bit(torch.optim.Optimizer):
    """AdamW with both moments kept as 8-bit numbers, one fp32 scale for each block of 256.

    ``m = round(127 m / max|m|)`` and ``sqrt v = ceil(255 sqrt v / max sqrt v)`` within a block. The root halves the
    range of the second moment, and rounding it up keeps the steps from growing where it is small.

    Source: AdamW, arXiv 1711.05101, algorithm 2; block-wise state, Dettmers et al., arXiv 2110.02861, section 2.1.
    Differs: even steps instead of the paper's dynamic code, which needs a table.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of all weights that have a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad.float(), group)
        return loss

    def _update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        state["step"] = state.get("step", 0) + 1
        m, v = self._moments(state, grad)
        first, second = group["betas"]
        m.lerp_(grad, 1 - first)
        v.mul_(second).addcmul_(grad, grad, value=1 - second)
        root = (v / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(m, root, value=-group["lr"] / (1 - first ** state["step"]))
        if grad.numel() < LEAST:
            state["m"], state["v"] = m, v
        else:
            state["m"], state["m_scale"] = _signed(m)
            state["v"], state["v_scale"] = _root(v)

    def _moments(self, state: dict[str, Any], grad: Tensor) -> tuple[Tensor, Tensor]:
        if "m" not in state:
            return torch.zeros_like(grad), torch.zeros_like(grad)
        if "m_scale" not in state:
            return state["m"], state["v"]
        m = _restored(state["m"], state["m_scale"], grad)
        return m, _restored(state["v"], state["v_scale"], grad).square_()


def _blocks(values: Tensor) -> Tensor:
    flat = values.flatten()
    return torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).view(-1, BLOCK)


def _signed(values: Tensor) -> tuple[Tensor, Tensor]:
    blocks = _blocks(values)
    scale = blocks.abs().amax(1, keepdim=True) / 127
    return (blocks / scale.clamp_min(1e-38)).round_().to(torch.int8), scale


def _root(values: Tensor) -> tuple[Tensor, Tensor]:
    blocks = _blocks(values).sqrt()
    scale = blocks.amax(1, keepdim=True) / 255
    return (blocks / scale.clamp_min(1e-38)).ceil_().clamp_(max=255).to(torch.uint8), scale


def _restored(codes: Tensor, scale: Tensor, like: Tensor) -> Tensor:
    return (codes.float() * scale).flatten()[: like.numel()].view_as(like)
