"""How a run is fitted into memory: where the weights lie and what is computed again, from the count of its own step."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ....training.core.config import CHECKPOINTING
from ....training.core.placement import GIB, OFF, Way, Weights, computed_again, most_kept
from ....training.core.plan import MARGIN
from ....training.distributed.processes import processes
from ..layers.checkpointing import transformer_blocks
from ..session.placement import ALL, Room, free_for_training, has_own_memory, lending_buffer
from ..session.session import Session
from ..session.step_size import Step, counted_step

if TYPE_CHECKING:
    from .job import Job

log = logging.getLogger(__name__)

UNKNOWN = 0.5  # share of a device's free memory that a step gets which could not be counted


class Fitting:
    """Finds the room of a job's sessions; steps are counted when they are asked for, each way of checkpointing once."""

    def __init__(self, job: Job, objective: Any) -> None:
        self.job, self.objective = job, objective
        model: Any = job.model.model
        self.device, self.patcher = model.load_device, model
        self.lendable = has_own_memory(self.device) and not processes().splits
        self._steps: dict[tuple[str, int], float] = {}

    @property
    def depth(self) -> int:
        """Blocks of the network."""
        return len(transformer_blocks(self.patcher.model.diffusion_model, self.job.model.family.blocks))

    def first(self) -> Way:
        """The asked way; a leaner one where a step of that finds no room with all weights lent.

        Where it is leaner than the asked one, as many of the last blocks keep everything as there is room for beside
        all weights; the same where a plan found room for more of them than there is.
        """
        mode, kept = self.job.config.checkpointing, self.job.config.kept_blocks
        if not self.lendable:
            return Way(mode, kept=kept)
        weights = Weights(self.patcher.model_size(), lending_buffer(self.patcher))
        free = free_for_training(self.device)
        leaner = list(CHECKPOINTING[CHECKPOINTING.index(mode) + 1 :])
        if kept and self.step(mode, kept) > free - weights.whole:
            kept = self._most_kept(mode, free - weights.whole)
        while leaner and weights.resident(self.step(mode, kept), free) is None:
            log.warning(
                "a step with checkpointing %s takes about %.1f GiB, %.1f are free; the run begins with %s",
                computed_again(mode, kept, self.depth), self.step(mode, kept) / GIB, free / GIB, leaner[0],
            )  # fmt: skip
            mode = leaner.pop(0)
        if mode != self.job.config.checkpointing:
            kept = self._most_kept(mode, free - weights.whole)
        return Way(mode, kept=kept)

    def room(self, way: Way) -> Room:
        """What a session leaves free."""
        return Room(self.step(way.checkpointing, way.kept), way.most) if self.lendable else ALL

    def step(self, checkpointing: str, kept: int = 0) -> float:
        """Bytes of a step of the largest clips, with the plan's margin; the last ``kept`` blocks keep everything."""
        if (checkpointing, kept) not in self._steps:
            self._steps[checkpointing, kept] = self._counted(checkpointing, kept)
        return self._steps[checkpointing, kept]

    def _most_kept(self, checkpointing: str, room: float) -> int:
        """How many of the last blocks can keep everything while the others do not."""
        if self.step(checkpointing) > room:
            return 0
        steps = {mode: self.step(mode) for mode in (OFF, checkpointing)}
        kept = most_kept(steps, checkpointing, self.depth, room, partial(self.step, checkpointing))
        if kept:
            log.info("there is room for %d of %d blocks to keep everything", kept, self.depth)
        return kept

    def _counted(self, checkpointing: str, kept: int) -> float:
        from comfy.model_management import InterruptProcessingException

        config = replace(self.job.config, checkpointing=checkpointing, kept_blocks=kept)
        try:
            step = counted_step(self.job.model, config, largest_step(self.objective), self.job.kind.open) * MARGIN
        except InterruptProcessingException:  # the user's cancel is no failure to count
            raise
        except Exception as error:  # of layers of other packs, which may need numbers to compute a shape
            step = UNKNOWN * free_for_training(self.device)
            log.warning(
                "the memory of a step could not be counted (%s); %.1f GiB are left free for it", error, step / GIB
            )
            log.debug("counting failed", exc_info=True)
        else:
            way = computed_again(checkpointing, kept, self.depth)
            log.info("a step with checkpointing %s takes about %.1f GiB beside the weights", way, step / GIB)
        return step


def largest_step(objective: Any) -> Step:
    """A step of an objective's largest clips, for ``counted_step``."""
    batch = objective.largest_batch()

    def step(session: Session) -> tuple[Tensor, Any]:
        return objective.loss(session.predict, batch).per_sample.mean(), batch

    return step


def in_words(way: Way) -> str:
    """What a way asks for."""
    most = "" if math.isinf(way.most) else f" and at most {way.most / GIB:.2f} GiB of the weights on the card"
    return f"checkpointing {way.checkpointing}{most}"
