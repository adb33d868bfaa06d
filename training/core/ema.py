"""A running average of the weights: it is what a run with ``ema_decay`` validates, previews and saves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


class Ema:
    """``a' = d a + (1 - d) w`` after each step, ``d = min(decay, n / (9 + n))`` at the n-th one after the first.

    Early steps count for less, so that the start is soon forgotten. The work is done by diffusers' ``EMAModel``.
    """

    def __init__(self, parameters: list[Tensor], decay: float) -> None:
        from diffusers.training_utils import EMAModel

        self.parameters: Any = parameters
        self.model = EMAModel(self.parameters, decay=decay)
        self._placed = False

    def step(self) -> None:
        """Take in the weights as they are now."""
        self.model.step(self.parameters)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average where the weights are, for a while; within that while nothing more happens."""
        if self._placed:
            yield
            return
        self._placed = True
        self.model.store(self.parameters)
        self.model.copy_to(self.parameters)
        try:
            yield
        finally:
            self.model.restore(self.parameters)
            self._placed = False

    def values(self) -> dict[str, Any]:
        """Its state: tensors and plain values."""
        return {"steps": self.model.optimization_step, "weights": list(self.model.shadow_params)}

    def load(self, values: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.optimization_step = values["steps"]
        for own, saved in zip(self.model.shadow_params, values["weights"], strict=True):
            own.copy_(saved)
