"""One sampler run with a TIC-FT context: which frames are held, how they are shown and how they leave."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ....methods import tic_ft
from ....methods.flow import NoiseProcess
from ..model.families import find_family
from ..model.noise import process_of

if TYPE_CHECKING:
    from .wrappers import Context


class SamplingRun:
    """One sampler run: its clean latents in model space, and the noise of its pending frames."""

    def __init__(self, context: Context, patcher: Any) -> None:
        self.process: NoiseProcess = process_of(patcher)
        self.layout = tic_ft.sigma_layout(context.layout, self.process)
        self.model = patcher.model
        family = find_family(patcher)
        self.per_token = family is not None and family.per_token_timesteps
        self.x0 = context.x0
        self.started = False  # until the first state is seen, the next are not what they are called
        self.clean = self.noise = self.own_levels = context.x0
        self.pending: int | None = None  # leading frames that stay where they are in the segment under way
        self.held = 0  # those, and the ones whose level its last step leads across
        self.crossing: Crossing | None = None  # that step
        self.kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once in this run for a key of all it depends on: a copy to the device waits."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def start_segment(self, x: Tensor, sigmas: list[float]) -> None:
        """Fix which frames are held over a segment, whatever levels a solver tries between."""
        self.start(x, sigmas[0])
        self.pending = tic_ft.pending_frames(self.layout, sigmas[-1])
        self.held = max(self.pending, tic_ft.frozen_frames(self.layout, sigmas[0]))
        self.crossing = Crossing(sigmas, self.held) if self.held > self.pending else None

    def note(self, denoised: Tensor, sigma: Tensor) -> None:
        """Keep the first evaluation of the step that leads across a level: it carries those frames from there."""
        if self.crossing:
            self.crossing.note(denoised, sigma)

    def end_segment(self, x: Tensor, last_sigma: float) -> Tensor:
        """``x`` with the pending frames exactly on their line at ``last_sigma``, and the others of the held there.

        Samplers that add noise, or that step by another estimate, leave the line while a frame is frozen. A frame whose
        level the last step led across has gone from there with the velocity of that step's first evaluation.
        """
        pending, held = self.pending or 0, self.held
        last = x.new_full((self.layout.known,), last_sigma)
        x = lead(self.at_levels(last), lead(self.carried(last), x, held), pending, self.layout)
        self.pending, self.held, self.crossing = None, 0, None
        return x

    def carried(self, levels: Tensor) -> Tensor:
        """Known frames at ``levels [L + B + O]``: gone from their own level by the noted answer, else on their line."""
        line = self.at_levels(levels)
        if self.crossing is None or self.crossing.answer is None:
            return line
        answer, sigma = self.crossing.answer, self.crossing.sigma
        own = torch.minimum(self.own_levels, sigma)
        states = self.at_levels(own)[:, :, : self.held]
        own, last = own[None, : self.held], levels[None, : self.held]
        moved = self.process.carried(states, own, answer, sigma, last)
        return lead(torch.where(self.crossing.noted, moved, line[:, :, : self.held]), line, self.held)

    def frozen_frames(self, sigma: Tensor) -> int:
        """Leading frames to show frozen: those held in this segment, else those frozen at ``sigma``."""
        return tic_ft.frozen_frames(self.layout, float(sigma)) if self.pending is None else self.held

    def start(self, x: Tensor, sigma: float) -> None:
        """Derive the known frames' noise from a state on the line; in a flow ``noise = (x - (1 - s) x0) / s``.

        So a second stage goes on with the very noise of the first, though the host gives it none.
        """
        if self.started:
            return
        known = x[:, :, : self.layout.known]
        # A copy, because some latent formats work in place.
        self.clean = expand(self.model.process_latent_in(self.x0.clone().to(x)), x)
        self.noise = self.process.noise_in(known, self.clean, sigma) if sigma > 0 else torch.zeros_like(known)
        self.own_levels = self.layout.max_sigmas(x.device)[: self.layout.known]
        self.started = True

    def at_levels(self, levels: Tensor) -> Tensor:
        """Known latents at ``levels [L + B + O]``, made of the clean latents and the run's own noise."""
        return self.process.add_noise(self.clean, self.noise, levels[None])

    def show(self, x: Tensor, sigma: Tensor, frozen: int) -> Tensor:
        """``x`` with the frozen frames at their own levels, as the network is to see it.

        A solver may look below a level before it gets there; the frame is then shown as far down its way. ``sigma`` is
        a scalar on the device and stays there: to read it would make every evaluation wait for the one before.
        """
        if not self.started:  # in a run that is not cut into segments
            self.start(x, float(sigma))
        levels = torch.minimum(self.own_levels, sigma)
        states = self.at_levels(levels)
        if self.crossing:
            states = lead(states, self.carried(levels), self.pending or 0)
        return lead(self.process.as_shown(states, levels[None], sigma), x, frozen, self.layout)


class Crossing:
    """The step of a segment that leads across a level, and the first evaluation that it made.

    Which evaluation that is only the device knows, so it is chosen there.
    """

    def __init__(self, sigmas: list[float], held: int) -> None:
        leaving = sigmas[max(len(sigmas) - 2, 0)]
        self.begins = leaving + tic_ft.TOLERANCE * max(1.0, leaving)  # the step's first sigma, but for rounding
        self.held = held
        self.answer: Tensor | None = None  # x0 by that evaluation
        self.sigma = self.noted = torch.zeros(())  # its sigma, and whether there was one

    def note(self, denoised: Tensor, sigma: Tensor) -> None:
        """Take an evaluation if it is the first at or below the step's beginning."""
        denoised, begun = denoised[:, :, : self.held], sigma <= self.begins
        if self.answer is None:
            self.answer, self.sigma, self.noted = denoised, sigma, begun
            return
        self.answer = torch.where(self.noted, self.answer, denoised)
        self.sigma = torch.where(self.noted, self.sigma, sigma)
        self.noted = self.noted | begun


def lead(known: Tensor, x: Tensor, count: int, layout: tic_ft.Layout | None = None) -> Tensor:
    """``x`` with its first ``count`` frames, and those of a layout's overlap, taken from ``known``.

    Both are ``[B, C, T, H, W]``.
    """
    if layout is not None and layout.overlap:
        between = x[:, :, count : layout.prefix]
        return torch.cat(
            [known[:, :, :count], between, known[:, :, layout.prefix : layout.known], x[:, :, layout.known :]], dim=2
        )
    return torch.cat([known[:, :, :count], x[:, :, count:]], dim=2) if count else x


def expand(clean: Tensor, like: Tensor) -> Tensor:
    """Repeat a batch of clean latents to the batch of ``like``."""
    return clean.repeat(like.shape[0] // clean.shape[0], 1, 1, 1, 1)
