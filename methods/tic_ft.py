"""TIC-FT: condition, buffer and target frames in one sequence along time.

``[L condition | B buffer | K target]`` latent frames. Condition frames stay clean, buffer b is held at
its own level tau_b until the global level has fallen to it, target frames follow the global level.
The same rule serves training and sampling. Source: arXiv 2506.00996.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Counts of latent frames, and the level each buffer is held at.

    Raises:
        ValueError: a count is negative, there is no target frame, or the levels do not fit.
    """

    condition: int  # L, clean latent frames
    buffer: int  # B, latent frames held at rising levels
    target: int  # K, latent frames to generate
    levels: tuple[float, ...] = ()  # tau_1 .. tau_B, rising, each in (0, 1)

    def __post_init__(self) -> None:
        if min(self.condition, self.buffer) < 0 or self.target < 1:
            raise ValueError(
                f"TIC-FT got {self.condition} condition, {self.buffer} buffer and {self.target} target latents; "
                "counts must not be negative and at least one target latent is needed"
            )
        if len(self.levels) != self.buffer:
            raise ValueError(
                f"TIC-FT got {len(self.levels)} buffer levels for {self.buffer} buffer latents; "
                "give one level per buffer, or leave the levels empty for evenly rising ones"
            )
        steps = (0.0, *self.levels, 1.0)
        if any(low >= high for low, high in zip(steps, steps[1:], strict=False)) and self.levels:
            raise ValueError(
                f"buffer levels {list(self.levels)} must rise and lie between 0 and 1; try {list(linear_levels(self.buffer))}"
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
    def frames(self) -> int:
        """Latent frames in all, F = L + B + K."""
        return self.prefix + self.target

    @property
    def target_slice(self) -> slice:
        """Where the target frames lie along time."""
        return slice(self.prefix, self.frames)

    def max_sigmas(self, device: torch.device | str | None = None) -> Tensor:
        """Highest level each frame ever has, ``[F]``: 0 for condition, tau_b for buffers, 1 for target."""
        values = [0.0] * self.condition + list(self.levels) + [1.0] * self.target
        return torch.tensor(values, dtype=torch.float32, device=device)


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


def frame_sigmas(layout: Layout, sigma: Tensor) -> Tensor:
    """Level of each frame at the global level: ``s_f = min(sigma, max_sigma_f)``.

    Args:
        layout: the frame counts and levels.
        sigma: global levels in [0, 1], ``[B]``.

    Returns:
        Levels ``[B, F]`` in [0, 1].

    Source: arXiv 2506.00996, eq. 7.
    Differs: levels are sigmas of the flow, the same numbers in training and in sampling; the authors'
        code looks them up as positions in a shifted schedule, which moves them.
    """
    return torch.minimum(sigma[:, None], layout.max_sigmas(sigma.device).to(sigma)[None])


def held_frames(layout: Layout, sigma: float) -> Tensor:
    """Which frames of the prefix are held at the global level ``sigma``: bool ``[L + B]``.

    A buffer moves as soon as the level is at or below its own; a condition frame never does.
    """
    limits = layout.max_sigmas()[: layout.prefix]
    return (limits == 0) | (limits < sigma - 1e-6)


def insert_levels(sigmas: Tensor, layout: Layout) -> Tensor:
    """The schedule with every buffer level inside its range made a point of it.

    Args:
        sigmas: falling levels ``[n + 1]``, the whole run or one stage of it.
        layout: its levels are the points to insert.

    Returns:
        Falling levels ``[n + 1 + m]``, m <= B. Points that are there already (to 1e-6) are not doubled.

    Differs: the paper thaws a buffer at the first schedule point at or below its level, and with a
        shifted schedule the lowest levels may never come. Inserting costs up to B evaluations and
        makes the release exact for every schedule and every split of it.
    """
    high, low = float(sigmas.max()), float(sigmas.min())
    new = [t for t in layout.levels if low + 1e-6 < t < high - 1e-6]
    new = [t for t in new if float((sigmas - t).abs().min()) > 1e-6]
    if not new:
        return sigmas
    return torch.cat([sigmas, sigmas.new_tensor(new)]).sort(descending=True).values


def split_at_releases(sigmas: Tensor, layout: Layout) -> list[Tensor]:
    """Cut a schedule where a buffer is released, so that no solver carries its history across.

    Neighbouring pieces share the point they are cut at; a schedule without releases is one piece.
    """
    points = [i for i in range(1, len(sigmas) - 1) if any(abs(float(sigmas[i]) - t) <= 1e-6 for t in layout.levels)]
    ends = [0, *points, len(sigmas) - 1]
    return [sigmas[a : b + 1] for a, b in zip(ends, ends[1:], strict=False)] if len(sigmas) > 1 else [sigmas]


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
