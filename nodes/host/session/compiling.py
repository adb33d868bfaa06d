"""Whether a session's blocks are compiled, whether that works on one of them, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ....training.core.config import TrainConfig
from ..layers.block_calls import BlockCalls
from ..layers.compiled import compiled_blocks, first_line, reason_against
from ..layers.simulation import is_simulated
from ..model.video_model import VideoModel
from .memory_use import is_out_of_memory

log = logging.getLogger(__name__)


class Blocks:
    """How a session's blocks are computed."""

    def __init__(self, asked: bool = False, predict: Any = None, calls: BlockCalls | None = None) -> None:
        """``predict`` is the session's ``HostPredictor`` and ``calls`` those of its blocks, where they are compiled."""
        self.asked, self._predict, self._calls = asked, predict, calls
        if calls is not None:
            predict.compiled = True

    @property
    def compiled(self) -> bool:
        """Whether they are compiled."""
        return self._calls is not None

    @property
    def words(self) -> str:
        """The same in words; "" where nobody asked."""
        return f"blocks {'' if self.compiled else 'not '}compiled" if self.asked else ""

    def leave(self) -> None:
        """Compute them as they are from here on."""
        if self._calls is not None:
            self._calls.compiled = self._predict.compiled = False
            self._calls = None

    def compile_for(self, shapes_vary: bool) -> None:
        """Say, before the first step, whether the clips or captions of the run are of several shapes."""
        if self._calls is not None:
            self._calls.shapes_vary = shapes_vary

    def try_out(self, compute: Callable[[], Any], parameters: Sequence[Tensor]) -> str:
        """Compile one block of each kind, forward and backward; where that fails all are left as they are, and why.

        Gradients, random streams and what is trained stay as they were, and what is compiled is what a step needs.

        Args:
            compute: A forward pass of a step.
            parameters: What is trained.
        """
        if self._calls is None:
            return ""
        device = parameters[0].device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            try:
                seen = self._calls.seen_in(compute)
            except Exception:  # of the network as it is: that is for the step to meet, and for its way to be told
                log.debug("no block could be tried", exc_info=True)
                return ""
            try:
                for call in seen:
                    call.compute(parameters)
            except Exception as error:  # of torch, Triton or a compiler, each of its own kind
                if is_out_of_memory(error):  # the step finds out, for which there is a way
                    return ""
                log.debug("a block could not be compiled", exc_info=True)
                self.leave()
                return first_line(error)
        return ""


@contextmanager
def compiled_if_asked(predict: Any, video: VideoModel, config: TrainConfig, device: torch.device) -> Iterator[Blocks]:
    """Compile the blocks for a while where the settings say so and it can be done.

    ``predict`` is the session's ``HostPredictor``, whose network is ready to be trained.
    """
    if not config.compile_blocks or is_simulated():
        yield Blocks()
        return
    network = predict.base.diffusion_model
    against = reason_against(network, video.family, device)
    if against:
        yield not_compiled(config, against)
        return
    with compiled_blocks(network, video.family.blocks) as calls:
        yield Blocks(True, predict, calls)


def not_compiled(config: TrainConfig, reason: str) -> Blocks:
    """Blocks that stay as they are, once the reason is logged where somebody asked for others."""
    if not config.compile_blocks or is_simulated():
        return Blocks()
    log.warning("the blocks are not compiled, the run goes on with them as they are: %s", reason)
    return Blocks(asked=True)
