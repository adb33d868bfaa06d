"""One sampler run with a TIC-FT context: which frames are held, how they are shown and how they leave."""

from __future__ import annotations

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
        self.started = False  # until the first state is seen, the next three are not what they are called
        self.clean = self.noise = self.highest = self.own_levels = context.x0
        self.pending: int | None = None  # leading frames that stay where they are in the segment under way
        self.held = 0  # those, and the ones whose level its last step leads across
        self.leaving = 0.0  # where that step begins
        self.answer: tuple[Tensor, float] | None = None  # x0 by the evaluation there, and its sigma

    def start_segment(self, x: Tensor, sigmas: list[float]) -> None:
        """Fix which frames are held over a segment, whatever levels a solver tries between."""
        self.start(x, sigmas[0])
        self.pending = tic_ft.pending_frames(self.layout, sigmas[-1])
        self.held = max(self.pending, tic_ft.frozen_frames(self.layout, sigmas[0]))
        self.leaving, self.answer = sigmas[max(len(sigmas) - 2, 0)], None

    def note(self, denoised: Tensor, sigma: float) -> None:
        """Keep the first evaluation of the step that leads across a level: it carries those frames from there."""
        begun = sigma <= self.leaving or tic_ft.same_level(sigma, self.leaving)
        if self.pending is not None and self.held > self.pending and self.answer is None and begun:
            self.answer = denoised[:, :, : self.held], sigma

    def end_segment(self, x: Tensor, last_sigma: float) -> Tensor:
        """``x`` with the pending frames exactly on their line at ``last_sigma``, and the others of the held there.

        Samplers that add noise, or that step by another estimate, leave the line while a frame is frozen. A frame whose
        level the last step led across has gone from there with the velocity of that step's first evaluation.
        """
        pending, held = self.pending or 0, self.held
        last = x.new_full((self.layout.prefix,), last_sigma)
        x = lead(self.at_levels(last), lead(self.carried(last), x, held), pending)
        self.pending, self.held, self.answer = None, 0, None
        return x

    def carried(self, levels: Tensor) -> Tensor:
        """Prefix at ``levels [L + B]``: each frame gone from its own level by the noted answer, else on its line."""
        if self.answer is None:
            return self.at_levels(levels)
        denoised, sigma = self.answer
        own = self.own_levels.clamp(max=sigma)
        states = self.at_levels(own)[:, :, : self.held]
        own, last = own[None, : self.held], levels[None, : self.held]
        return lead(self.process.carried(states, own, denoised, sigma, last), self.at_levels(levels), self.held)

    def frozen_frames(self, sigma: float) -> int:
        """Leading frames to show frozen: those held in this segment, else those frozen at ``sigma``."""
        return tic_ft.frozen_frames(self.layout, sigma) if self.pending is None else self.held

    def start(self, x: Tensor, sigma: float) -> None:
        """Derive the prefix's noise from a state on the line; in a flow ``noise = (x - (1 - s) x0) / s``.

        So a second stage goes on with the very noise of the first, though the host gives it none.
        """
        if self.started:
            return
        prefix = x[:, :, : self.layout.prefix]
        # A copy, because some latent formats work in place.
        self.clean = expand(self.model.process_latent_in(self.x0.clone().to(x)), x)
        self.noise = self.process.noise_in(prefix, self.clean, sigma) if sigma > 0 else torch.zeros_like(prefix)
        self.own_levels = self.layout.max_sigmas(x.device)[: self.layout.prefix]
        self.highest = self.at_levels(self.own_levels)
        self.started = True

    def at_levels(self, levels: Tensor) -> Tensor:
        """Prefix latents at ``levels [L + B]``, made of the clean latents and the run's own noise."""
        return self.process.add_noise(self.clean, self.noise, levels[None])

    def show(self, x: Tensor, sigma: float, frozen: int) -> Tensor:
        """``x`` with the frozen frames at their own levels, as the network is to see it."""
        self.start(x, sigma)
        if frozen <= tic_ft.pending_frames(self.layout, sigma):
            return lead(self.process.as_shown(self.highest, self.own_levels[None], sigma), x, frozen)
        # A solver looks below a level before it gets there; the frame is shown as far down its way.
        levels = tic_ft.frame_sigmas(self.layout, x.new_tensor([sigma]))[0, : self.layout.prefix]
        pending = self.pending or 0
        states = lead(self.at_levels(levels), self.carried(levels), pending)
        return lead(self.process.as_shown(states, levels[None], sigma), x, frozen)


def lead(prefix: Tensor, x: Tensor, count: int) -> Tensor:
    """``x`` with its first ``count`` frames taken from ``prefix``, both ``[B, C, T, H, W]``."""
    return torch.cat([prefix[:, :, :count], x[:, :, count:]], dim=2) if count else x


def expand(clean: Tensor, like: Tensor) -> Tensor:
    """Repeat a batch of clean latents to the batch of ``like``."""
    return clean.repeat(like.shape[0] // clean.shape[0], 1, 1, 1, 1)
