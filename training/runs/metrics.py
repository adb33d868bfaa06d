"""Numbers for people while a run goes on: smoothed losses, losses by noise level, pace, short curves."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

BETA = 0.97  # of the smoothed loss: about the last 30 steps count
BUCKETS = 4  # equal shares of the noise levels
LIMIT = 500  # points of a curve
WINDOW = 50  # steps whose median is the pace


def finite(value: Any) -> float | None:
    """A number as a float; None where it is missing, infinite or not a number, which JSON cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of more digits than a float has room for
        return None
    return number if math.isfinite(number) else None


def rounded(value: Any) -> float | None:
    """``finite`` with six digits, so that a long curve stays small."""
    number = finite(value)
    return None if number is None else float(f"{number:.6g}")


class Smoothed:
    """Exponential mean whose start is corrected: ``m = b m + (1 - b) l``, shown as ``m / (1 - b^n)``.

    Source: Kingma and Ba, arXiv 1412.6980, section 3 (the correction).
    """

    def __init__(self, beta: float = BETA) -> None:
        self.beta = beta
        self.mean = 0.0
        self.count = 0

    def add(self, value: Any) -> float | None:
        """Take a loss in and return ``value``; a loss that is no number changes nothing."""
        number = finite(value)
        if number is not None:
            self.mean = self.beta * self.mean + (1.0 - self.beta) * number
            self.count += 1
        return self.value

    @property
    def value(self) -> float | None:
        """The mean so far; None before the first loss."""
        return self.mean / (1.0 - self.beta**self.count) if self.count else None


def bucket_of(sigma: float, buckets: int = BUCKETS) -> int:
    """Which of the equal shares of [0, 1] a noise level lies in, from 0; 1 belongs to the last."""
    return min(buckets - 1, max(0, int(sigma * buckets)))


def bucket_labels(buckets: int = BUCKETS) -> list[str]:
    """Ranges of the noise level, ``0.00-0.25`` and so on."""
    return [f"{i / buckets:.2f}-{(i + 1) / buckets:.2f}" for i in range(buckets)]


class SigmaBuckets:
    """A smoothed loss for each share of the noise levels.

    The loss of one step depends more on its noise level than on what was learned; within a share it does not.
    """

    def __init__(self, buckets: int = BUCKETS, beta: float = BETA) -> None:
        self.shares = [Smoothed(beta) for _ in range(buckets)]

    def add(self, losses: Sequence[Any], sigmas: Sequence[Any]) -> list[float | None]:
        """Take in the loss and the noise level in [0, 1] of each clip of a step; returns every share's value.

        A level given for each frame counts with its highest, the one the target frames are at.
        """
        for loss, sigma in zip(losses, sigmas, strict=False):
            level = _level(sigma)
            if level is not None:
                self.shares[bucket_of(level, len(self.shares))].add(loss)
        return [share.value for share in self.shares]


def share_means(losses: Sequence[Any], sigmas: Sequence[Any], buckets: int = BUCKETS) -> list[tuple[float, float, int]]:
    """Mean loss, mean level and number of the clips in each share of the noise levels that has some.

    Clips whose loss or level is no number are in none; levels of frames count as in ``SigmaBuckets``.
    """
    found: dict[int, list[tuple[float, float]]] = {}
    for loss, sigma in zip(losses, sigmas, strict=False):
        number, level = finite(loss), _level(sigma)
        if number is not None and level is not None:
            found.setdefault(bucket_of(level, buckets), []).append((number, level))
    return [
        (fmean(loss for loss, _ in pairs), fmean(level for _, level in pairs), len(pairs))
        for _, pairs in sorted(found.items())
    ]


def _level(sigma: Any) -> float | None:
    return finite(max(sigma, default=None) if isinstance(sigma, (list, tuple)) else sigma)


class Pace:
    """Seconds a step takes, and seconds left; validation, previews and saves count for what is left."""

    def __init__(self, window: int = WINDOW) -> None:
        self.recent: deque[float] = deque(maxlen=window)
        self.steps = 0
        self.between = 0.0  # seconds that passed outside of steps

    def add(self, seconds: float, wall: float) -> None:
        """A step took ``seconds`` of the ``wall`` seconds since the one before it."""
        self.recent.append(seconds)
        self.steps += 1
        self.between += max(0.0, wall - seconds)

    @property
    def seconds_per_step(self) -> float | None:
        """Median of the last steps, which a slow one does not move; None before the first."""
        return median(self.recent) if self.recent else None

    def left(self, steps: int) -> float | None:
        """Seconds so many further steps will take: each the median, and its share of the time between steps."""
        pace = self.seconds_per_step
        return None if pace is None else max(0, steps) * (pace + self.between / self.steps)


class Curve:
    """Values over steps that take bounded room: when it is full, neighbours become their mean.

    A point stands for 1, 2, 4 ... steps and bears the last of them.
    """

    def __init__(self, limit: int = LIMIT, columns: int = 12) -> None:
        self.limit = limit
        self.columns = columns  # further names are left out
        self.names: list[str] = []
        self.stride = 1  # rows a point is the mean of
        self.points: list[_Point] = []

    def add(self, step: int, values: Mapping[str, Any]) -> None:
        """Values of a step; steps must rise. A missing or unusual number leaves a gap."""
        new = [name for name in values if name not in self.names and name != "steps"]
        self.names += new[: self.columns - len(self.names)]
        if not self.points or self.points[-1].rows >= self.stride:
            if len(self.points) >= self.limit:
                self._halve()
            self.points.append(_Point())
        self.points[-1].add(step, {name: values[name] for name in values if name in self.names})

    def go_back(self, step: int) -> None:
        """Forget points of later steps, because a run went back to ``step``."""
        while self.points and self.points[-1].step > step:
            self.points.pop()

    def _halve(self) -> None:
        for i in range(0, len(self.points) - 1, 2):
            self.points[i].join(self.points[i + 1])
        self.points = self.points[::2]
        self.stride *= 2

    def table(self) -> dict[str, list[Any]]:
        """``steps`` and each name's values, all of one length."""
        columns = {name: [point.mean(name) for point in self.points] for name in self.names}
        return {"steps": [point.step for point in self.points], **columns}


class _Point:
    """Sums over neighbouring steps."""

    def __init__(self) -> None:
        self.step = 0
        self.rows = 0
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            number = finite(value)
            if number is not None:
                total, count = self.sums.get(name, (0.0, 0))
                self.sums[name] = (total + number, count + 1)
        self.step, self.rows = step, self.rows + 1

    def join(self, later: _Point) -> None:
        for name, (more, others) in later.sums.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + more, count + others)
        self.step, self.rows = later.step, self.rows + later.rows

    def mean(self, name: str) -> float | None:
        total, count = self.sums.get(name, (0.0, 0))
        return rounded(total / count) if count else None
