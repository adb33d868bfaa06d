"""TIC-FT: condition, buffer and target frames in one sequence along time.

``[L condition | B buffer | K target]`` latent frames. Condition frames stay clean, buffer b is frozen at
its own level tau_b until the global level has fallen to it, target frames follow the global level.
The same rule serves training and sampling. Source: arXiv 2506.00996.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from .flow import NoiseProcess

TOLERANCE = 1e-6  # levels closer than this are the same level; above 1, times the level


@dataclass(frozen=True)
class Layout:
    """Counts of latent frames, and the level each buffer is frozen at.

    Raises:
        ValueError: a count is negative, there is no target frame, or the levels do not fit.
    """

    condition: int  # L, clean latent frames
    buffer: int  # B, latent frames frozen at rising levels
    target: int  # K, latent frames to generate
    levels: tuple[float, ...] = ()  # tau_1 .. tau_B, rising, each in (0, top)
    top: float = 1.0  # highest level; a process whose sigmas have no limit has infinity here
    overlap: int = 0  # O, leading target frames that are given clean: the end of the window before

    def __post_init__(self) -> None:
        if min(self.condition, self.buffer) < 0 or self.target < 1:
            raise ValueError(
                f"TIC-FT got {self.condition} condition, {self.buffer} buffer and {self.target} target "
                "latents; give no negative count and at least one target latent"
            )
        if not 0 <= self.overlap < self.target:
            raise ValueError(
                f"TIC-FT got an overlap of {self.overlap} latents and {self.target} target latents; give a smaller "
                "one, so that every window makes something new"
            )
        if len(self.levels) != self.buffer:
            raise ValueError(
                f"TIC-FT got {len(self.levels)} buffer levels for {self.buffer} buffer latents; "
                "give one level per buffer, or leave the levels empty for evenly rising ones"
            )
        # Written so that NaN, which compares with nothing, is refused too.
        if not all(low < high for low, high in pairwise((0.0, *self.levels, self.top))):
            raise ValueError(
                f"TIC-FT got buffer levels {list(self.levels)}; they must rise and lie between 0 and 1, "
                f"like {[round(level, 3) for level in linear_levels(self.buffer)]}"
            )

    @classmethod
    def linear(cls, condition: int, buffer: int, target: int) -> Layout:
        """A layout whose levels rise evenly: ``tau_b = b / (B + 1)``."""
        return cls(condition, buffer, target, linear_levels(max(0, buffer)))

    @property
    def prefix(self) -> int:
        """Latent frames before the first target frame, L + B."""
        return self.condition + self.buffer

    @property
    def known(self) -> int:
        """Latent frames from the start whose clean latents are given, L + B + O."""
        return self.prefix + self.overlap

    @property
    def frames(self) -> int:
        """Latent frames in all, F = L + B + K."""
        return self.prefix + self.target

    @property
    def target_slice(self) -> slice:
        """Where the target frames lie along time."""
        return slice(self.prefix, self.frames)

    def max_sigmas(self, device: torch.device | str | None = None) -> Tensor:
        """Highest level each frame ever has, ``[F]``: 0 for clean ones, tau_b for buffers, top for new ones."""
        fresh = self.target - self.overlap
        values = [0.0] * self.condition + list(self.levels) + [0.0] * self.overlap + [self.top] * fresh
        return torch.tensor(values, dtype=torch.float32, device=device)


def sigma_layout(layout: Layout, process: NoiseProcess) -> Layout:
    """The layout with its levels, which are shares of the noise process, as the sigmas of a solver.

    Raises:
        ValueError: two levels are one and the same timestep.

    Source: arXiv 2506.00996, eq. 4, has them as timesteps ``b / (B + 1) T``; a flow's sigma is that share itself.
    """
    levels = process.sigma_at(torch.tensor(layout.levels, dtype=torch.float64)).float().tolist()
    if len(set(levels)) < len(levels):
        raise ValueError(
            f"TIC-FT got buffer levels {list(layout.levels)}, two of which are the same timestep of this model; "
            "give levels that are further apart"
        )
    return replace(layout, levels=tuple(levels), top=process.top)


def linear_levels(buffer: int) -> tuple[float, ...]:
    """Evenly rising levels ``tau_b = b / (B + 1)``, b = 1 .. B. Source: arXiv 2506.00996, eq. 4."""
    return tuple((b + 1) / (buffer + 1) for b in range(buffer))


def parse_levels(text: str, buffer: int) -> tuple[float, ...]:
    """Levels from a comma-separated text; an empty text gives ``linear_levels``.

    Raises:
        ValueError: a part of the text is no number (the rest is checked by ``Layout``).
    """
    parts = [part for part in text.replace(";", ",").replace(" ", ",").split(",") if part]
    if not parts:
        return linear_levels(buffer)
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise ValueError(f"buffer levels {text!r} are not numbers; write them like 0.25, 0.5, 0.75") from None


def frame_sigmas(layout: Layout, sigma: Tensor, highest: Tensor | None = None) -> Tensor:
    """Level of each frame at the global level: ``s_f = min(sigma, max_sigma_f)``.

    Args:
        layout: the frame counts and levels.
        sigma: global levels in [0, top], ``[B]``.
        highest: the layout's ``max_sigmas``, ``[F]``, of who has them on the device already.

    Returns:
        Levels ``[B, F]`` in [0, top].

    Source: arXiv 2506.00996, eq. 7.
    Differs: levels are sigmas of the flow, the same numbers in training and in sampling; the authors'
        code looks them up as positions in a shifted schedule, which moves them.
    """
    highest = layout.max_sigmas(sigma.device) if highest is None else highest
    return torch.minimum(sigma[:, None], highest.to(sigma)[None])


def same_level(level: float, other: float) -> bool:
    """Whether two levels differ by rounding alone."""
    return abs(level - other) <= TOLERANCE * max(1.0, abs(level))


def frozen_frames(layout: Layout, sigma: float) -> int:
    """How many leading frames are frozen at the global level ``sigma``; levels rise, so they are the first.

    A condition frame always is; a buffer moves as soon as the level is at or below its own.
    """
    return layout.condition + sum(level < sigma and not same_level(level, sigma) for level in layout.levels)


def pending_frames(layout: Layout, sigma: float) -> int:
    """How many leading frames no solver has moved yet at ``sigma``: the frozen ones, and one just unfrozen."""
    return layout.condition + sum(level <= sigma or same_level(level, sigma) for level in layout.levels)


Extra = bool | Callable[[float, float], bool]  # whether steps get points, or a step from one sigma to another does


def insert_levels(sigmas: list[float], layout: Layout, extra: Extra = True) -> list[float]:
    """The schedule with every buffer level inside its range made a point of it.

    Args:
        sigmas: ``n + 1`` falling levels, the whole run or one stage of it.
        layout: its levels are the points to insert.
        extra: make new points; else those at a level are moved onto it and a step may lead across another one. What is
            decided by the step must not depend on the others, or a part of a run would be cut otherwise than the whole.

    Returns:
        ``n + 1 + m`` falling levels, m <= B. A point within ``TOLERANCE`` of a level is moved onto it.

    Raises:
        ValueError: the schedule rises somewhere, so that frames would have to be frozen again.

    Differs: the paper unfreezes a buffer at the first schedule point at or below its level, and with a
        shifted schedule the lowest levels may never come. Inserting costs up to B evaluations and
        makes the unfreezing exact for every schedule and every split of it.
    """
    if layout.known and any(later > sigma for sigma, later in pairwise(sigmas)):
        raise ValueError(
            f"TIC-FT got sigmas that rise ({min(sigmas):g} to {max(sigmas):g}); "
            "condition and buffer frames need falling ones, so take Flip Sigmas out"
        )
    points, new = list(sigmas), []
    for level in layout.levels:
        near = [i for i, sigma in enumerate(sigmas) if same_level(sigma, level)]
        for i in near:
            points[i] = level
        across = [step for step in pairwise(sigmas) if step[1] < level < step[0]]
        if not near and across and (extra(*across[0]) if callable(extra) else extra):
            new.append(level)
    return sorted([*points, *new], reverse=True) if new else points


def split_where_unfrozen(sigmas: list[float], layout: Layout) -> list[tuple[int, int]]:
    """First and last point of each segment of a schedule, cut so that no solver carries history into a frame's start.

    A cut is where a buffer begins to move: at its level, or at the end of the step that leads across it. Neighbouring
    segments share the point they are cut at; where nothing is unfrozen there is one segment.
    """
    last = len(sigmas) - 1
    pending = [pending_frames(layout, sigma) for sigma in sigmas]
    frozen = [frozen_frames(layout, sigma) for sigma in sigmas]
    cuts = [i for i in range(1, last) if pending[i] > frozen[i] or pending[i] < frozen[i - 1]]
    return list(pairwise([0, *cuts, max(last, 0)]))


def target_loss(prediction: Tensor, velocity: Tensor, layout: Layout) -> Tensor:
    """Mean squared error of the velocity on the target frames only, ``[B]``.

    Args:
        prediction: network output ``[B, C, F, H, W]``.
        velocity: ``noise - x0`` of the same shape.
        layout: tells which frames are target frames; the others get no gradient.

    Source: arXiv 2506.00996, section 3.2.
    """
    error = prediction[:, :, layout.target_slice] - velocity[:, :, layout.target_slice]
    return error.float().square().flatten(1).mean(1)


def pixel_frames(latents: int, compression: int = 4) -> int:
    """Pixel frames that ``latents`` latent frames of a causal VAE stand for: ``1 + c (n - 1)``, 0 for 0."""
    return 1 + compression * (latents - 1) if latents > 0 else 0


def latent_frames(pixels: int, compression: int = 4) -> int:
    """Whole latent frames that ``pixels`` pixel frames fill: ``1 + (N - 1) // c``, 0 for 0."""
    return 1 + (pixels - 1) // compression if pixels > 0 else 0


def check_patches(layout: Layout, time_patch: int) -> None:
    """Refuse counts that a network whose patches span ``time_patch`` latent frames would mix up.

    Raises:
        ValueError: a count is no multiple of it.
    """
    counts = {"condition": layout.condition, "buffer": layout.buffer, "target": layout.target}
    for name, count in counts.items():
        if count % time_patch:
            low = count - count % time_patch
            raise ValueError(
                f"this model takes latent frames {time_patch} at a time, {name} has {count} latents; "
                f"use {f'{low} or ' if low or name != 'target' else ''}{low + time_patch}"
            )


def rounded_up(count: int, time_patch: int) -> int:
    """The next count of latent frames that fills whole patches."""
    return -(-count // time_patch) * time_patch
