"""Where buffers get steps of their own: at every level, at none, or where the sampler's own steps are small."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from ....methods.tic_ft import Extra
from ..model.noise import SAMPLING

LARGE = 0.073  # how far a step of a run of few steps leads at least, see LargeSteps
POWER = 0.9


def extra_steps_of(patcher: Any, chosen: bool | None) -> Extra:
    """Whether a step from one sigma to another is cut at the buffers' levels that it leads across.

    Args:
        patcher: MODEL that samples.
        chosen: always, never, or None: where the step is none of a run of few steps.
    """
    if chosen is not None:
        return chosen
    large = LargeSteps(patcher.get_model_object(SAMPLING).sigmas.tolist())
    return lambda begin, end: not large(begin, end)


class LargeSteps:
    """Whether a step is so large that its run has few of them, by the step alone: a split changes nothing.

    A step from s to s' is large if ``t(s)^0.9 - t(s')^0.9 > 0.073``, where t in [0, 1] is the place of a sigma in the
    model's own table, so that the shift cancels out and each of N steps of a usual scheduler is about 1 / N. The power
    makes up for schedulers such as beta, whose steps shrink towards the end. All steps that lead across a level of
    three buffers are large in runs of 12 steps or fewer with *simple*, of 8 or fewer with *beta*, and small in runs of
    20 or more; with *sgm_uniform* and a shift of 7 to 12 the last one is small in runs of 24 or more.

    Args:
        table: sigma of each timestep of the model, rising.
    """

    def __init__(self, table: list[float]) -> None:
        self.table = table

    def __call__(self, begin: float, end: float) -> bool:
        return self.place(begin) ** POWER - self.place(end) ** POWER > LARGE

    def place(self, sigma: float) -> float:
        """Share of the timesteps that lie at or below ``sigma``, in [0, 1], linear between two."""
        above = bisect_right(self.table, sigma)
        if above == len(self.table):
            return 1.0
        low, high = (0.0 if above == 0 else self.table[above - 1]), self.table[above]
        return (above + (sigma - low) / (high - low)) / len(self.table)
