"""Whether a session's blocks are compiled, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ....training.core.config import TrainConfig
from ..layers.compiled import compiled_blocks, reason_against
from ..layers.simulation import is_simulated
from ..model.video_model import VideoModel

log = logging.getLogger(__name__)


@contextmanager
def compiled_if_asked(predict: Any, video: VideoModel, config: TrainConfig, device: torch.device) -> Iterator[str]:
    """Compile the blocks for a while where the settings say so and it can be done; what was done, in words.

    ``predict`` is the session's ``HostPredictor``, whose network is ready to be trained.
    """
    if not config.compile_blocks or is_simulated():
        yield ""
        return
    network = predict.base.diffusion_model
    against = reason_against(network, video.family, device)
    if against:
        yield not_compiled(config, against)
        return
    predict.compiled = True
    with compiled_blocks(network, video.family.blocks):
        yield "blocks compiled"


def not_compiled(config: TrainConfig, reason: str) -> str:
    """What a session says of blocks that stay as they are, once it is logged; "" where nobody asked."""
    if not config.compile_blocks or is_simulated():
        return ""
    log.warning("the blocks are not compiled, the run goes on with them as they are: %s", reason)
    return "blocks not compiled"
