"""Sampling with the network as it trains: plain steps on its own output, so that the host's model is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ...methods import tic_ft
from ...methods.flow import NoiseProcess
from ...methods.tic_ft import Layout
from .batches import Conditioning, seeded_generator
from .objective import Predict


@dataclass(frozen=True)
class PreviewSettings:
    """What a preview is made from; the same for every preview of a run, so that they can be compared."""

    steps: int = 12  # steps of the solver; each buffer level adds at most one
    guidance: float = 1.0  # strength of the caption; above 1 every step costs two evaluations
    seed: int = 0
    clip: int = 0  # whose condition and caption

    def __post_init__(self) -> None:
        if self.steps < 1 or self.clip < 0 or self.guidance < 1.0:
            raise ValueError(
                f"a preview of clip {self.clip} in {self.steps} steps with guidance {self.guidance:g} was asked for; "
                "give a clip of 0 or more, at least one step and a guidance of at least 1"
            )


class Previewed(Protocol):
    """The part of an objective that previews need."""

    x0: Sequence[Tensor]  # [C, F, h, w] each, in the model's space
    conditioning: Sequence[Conditioning]
    unconditional: Conditioning
    layout: Layout
    process: NoiseProcess


def preview_latents(
    objective: Previewed,
    predict: Predict,
    sigmas: Tensor,
    settings: PreviewSettings,
    device: torch.device | str,
    per_frame: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Latents ``[C, F, h, w]`` in the model's space: a clip's condition, and the target the network makes of it.

    Args:
        objective: Clips, captions and layout.
        predict: The network with what it has learned so far.
        sigmas: Falling levels in the solver's unit, ``[steps + 1]``.
        settings: Steps, seed and guidance.
        device: Where the network is.
        per_frame: Tell the network every frame's own level.
        on_step: Called with steps done and steps in all before each; may raise to cancel.

    Raises:
        ValueError: there is no such clip.
    """
    if settings.clip >= len(objective.x0):
        raise ValueError(
            f"a preview of clip {settings.clip} was asked for, there are {len(objective.x0)}; "
            f"use 0 to {len(objective.x0) - 1}"
        )
    clean = objective.x0[settings.clip][None].to(device, torch.float32)
    layout = replace(objective.layout, target=clean.shape[2] - objective.layout.prefix)
    generator = seeded_generator(settings.seed, settings.clip, "preview")
    noise = torch.randn(clean.shape, generator=generator).to(device)
    captions = [objective.conditioning[settings.clip], objective.unconditional]

    def guided(xt: Tensor, sigma: Tensor) -> Tensor:
        output = predict(xt, sigma, captions[:1])
        if settings.guidance == 1.0:
            return output
        plain = predict(xt, sigma, captions[1:])
        return plain + settings.guidance * (output - plain)

    frozen = tic_ft.sigma_layout(layout, objective.process)
    return sample_frozen(guided, clean, noise, frozen, objective.process, sigmas.to(device), per_frame, on_step)[0]


@torch.no_grad()
def sample_frozen(
    predict: Callable[[Tensor, Tensor], Tensor],
    clean: Tensor,
    noise: Tensor,
    layout: Layout,
    process: NoiseProcess,
    sigmas: Tensor,
    per_frame: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Euler's solver with every frame of the prefix frozen at its own level until the global one has come down to it.

    The network's input and output are linear in clean latents and noise, ``xt = a x0 + b n`` and ``v = c x0 + d n``,
    so ``x0 = (d xt - b v) / (ad - bc)`` and ``n = (a v - c xt) / (ad - bc)``; the next input is made of these at the
    next level. In a flow that is ``x' = x + (s' - s) v``.

    Args:
        predict: Network output for ``xt [B, C, F, h, w]`` and sigma ``[B]`` or ``[B, F]``.
        clean: Clean latents; only those of the first L + B frames are used.
        noise: Standard normal, as ``clean``.
        layout: Its levels are sigmas.
        process: How frames are noised and what the network predicts.
        sigmas: Falling levels.

    Returns:
        As ``clean``: the first L + B frames as given where they were never unfrozen, the target frames made.

    Source: TIC-FT, arXiv 2506.00996, section 3.2, algorithm 1.
    """
    points = tic_ft.insert_levels(sigmas.float().tolist(), layout)
    x0, sigmas = clean.clone(), sigmas.new_tensor(points, dtype=torch.float32)
    x0[:, :, layout.target_slice] = 0.0
    for i, sigma in enumerate(sigmas[:-1]):
        if on_step is not None:
            on_step(i, len(sigmas) - 1)
        levels = tic_ft.frame_sigmas(layout, sigma.expand(len(clean)))
        xt = process.network_input(x0, noise, levels)
        output = predict(xt, levels if per_frame else sigma.expand(len(clean)))
        made, left = split(process, xt, output, levels)
        free = slice(tic_ft.frozen_frames(layout, points[i]), None)
        x0[:, :, free], noise = made[:, :, free], torch.cat([noise[:, :, : free.start], left[:, :, free]], dim=2)
    return process.add_noise(x0, noise, tic_ft.frame_sigmas(layout, sigmas[-1:].expand(len(clean))))


def split(process: NoiseProcess, xt: Tensor, output: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor]:
    """Clean latents and noise that a network's input ``xt`` and output at sigmas ``[B, F]`` stand for."""
    one = torch.ones((sigmas.shape[0], 1, sigmas.shape[1], 1, 1), dtype=xt.dtype, device=xt.device)
    zero = torch.zeros_like(one)
    a, b = process.network_input(one, zero, sigmas), process.network_input(zero, one, sigmas)
    c, d = process.target(one, zero, sigmas), process.target(zero, one, sigmas)
    scale = a * d - b * c
    return (d * xt - b * output) / scale, (a * output - c * xt) / scale
