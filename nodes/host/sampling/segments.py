"""Running a host sampler segment by segment, so that it restarts wherever a buffer frame is unfrozen.

A multistep solver would otherwise carry what a frame did while it was frozen across that point.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ....methods import tic_ft

log = logging.getLogger(__name__)
RESEED = 7919  # apart from one another, so that no segment repeats the noise of the one before


class PendingFrames(Protocol):
    """What keeps the frames that no solver has moved yet in place."""

    def start_segment(self, x: Tensor, sigmas: list[float]) -> None:
        """Note the levels a solver is about to walk from this state."""
        ...

    def end_segment(self, x: Tensor, last_sigma: float) -> Tensor:
        """Put pending frames back in place."""
        ...


def is_segmented(sampler: Any) -> bool:
    """Whether ``in_segments`` can cut a sampler's run: the host's own k-samplers, and those of packs made alike."""
    return getattr(sampler, "sampler_function", None) is not None


@dataclass(frozen=True)
class Schedule:
    """The sigmas of a run as they lie on the device, and their values."""

    sigmas: Tensor
    values: list[float]

    def read(self, sigmas: Tensor) -> list[float]:
        """Values of the sigmas that a sampler got; known where nobody made others of them on the way."""
        return self.values if sigmas is self.sigmas else sigmas.tolist()


def in_segments(sampler: Any, layout: tic_ft.Layout, frames: PendingFrames, schedule: Schedule) -> Any:
    """A copy of a host sampler that restarts wherever a frame is unfrozen; other samplers are left as they are.

    Args:
        sampler: the host's.
        layout: its levels are sigmas of the sampler.
        frames: what is held over each segment.
        schedule: the sigmas that the sampler will get.
    """
    function = getattr(sampler, "sampler_function", None)
    if layout.known == 0:
        return sampler
    if function is None:
        if layout.buffer:
            log.info(
                "FewShot Video: %s is no k-sampler; its schedule gets the buffers' levels whatever buffer_steps is, as "
                "'no extra steps' needs a k-sampler, and it unfreezes them at its first evaluation at or below their "
                "level and may carry history across",
                type(sampler).__name__,
            )
        return sampler
    segmented = copy.copy(sampler)
    segmented.sampler_function = _segmented(function, layout, frames, schedule)
    return segmented


def _segmented(
    function: Callable[..., Tensor], layout: tic_ft.Layout, frames: PendingFrames, schedule: Schedule
) -> Callable[..., Tensor]:
    @functools.wraps(function)
    def sample(
        model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None, **options: Any
    ) -> Tensor:
        done, told = 0, False
        values = schedule.read(sigmas)
        for number, (first, last) in enumerate(tic_ft.split_where_unfrozen(values, layout)):
            levels, segment = values[first : last + 1], sigmas[first : last + 1]
            frames.start_segment(x, levels)
            short = _is_too_short(function, levels)
            if short and not told:
                log.info("FewShot Video: %s cannot take one step alone, Euler takes it", _name(function))
                told = True
            run = _one_step if short else function
            options["extra_args"] = {**(extra_args or {}), "seed": _seed(extra_args, number)}
            # A copy, because UniPC writes into its schedule.
            x = run(model, x, segment.clone(), callback=_counting(callback, done), **options)
            x = frames.end_segment(x, levels[-1])
            done += len(segment) - 1
        return x

    return sample


def _seed(extra_args: Any, number: int) -> Any:
    """The run's own seed for the first segment, another for each later one."""
    seed = (extra_args or {}).get("seed")
    return seed if seed is None or number == 0 else (seed + RESEED * number) % 2**63


def _counting(callback: Any, done: int) -> Any:
    """A sampler callback whose step goes on counting over segments."""
    return callback and (lambda state: callback({**state, "i": state["i"] + done}))


def _is_too_short(function: Callable[..., Tensor], levels: list[float]) -> bool:
    """Whether a host sampler cannot take a segment: UniPC's order would be 0, two others never step to 0."""
    name = _name(function)
    never_to_zero = name in ("dpm_fast_function", "dpm_adaptive_function") and levels[-1] == 0
    return len(levels) == 2 and ("unipc" in name or never_to_zero)


def _name(function: Callable[..., Tensor]) -> str:
    return getattr(function, "__name__", "")


def _one_step(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None, **_: Any) -> Tensor:
    """One Euler step over a segment of two points."""
    denoised = model(x, sigmas[0] * x.new_ones(x.shape[0]), **(extra_args or {}))
    if callback:
        callback({"x": x, "i": 0, "sigma": sigmas[0], "sigma_hat": sigmas[0], "denoised": denoised})
    return denoised + (sigmas[1] / sigmas[0]) * (x - denoised)
