"""TIC-FT sampling as it is published, on diffusers' schedulers; it knows nothing of the pack.

Written from the paper. The authors' code differs from it in places (docs/published_tic_ft.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

CLEAN = -1.0  # a timestep that no schedule has


def sample(
    network: Callable[[Tensor, Tensor], Tensor], scheduler: Any, x0: Tensor, noise: Tensor, levels: list[float]
) -> Tensor:
    """The whole sequence ``[B, C, F, h, w]``, condition and buffer frames included.

    Frames whose own timestep is the global one are moved, the others are left as they are. The network is always
    told the global timestep alone.

    Args:
        network: frames ``[B, C, F, h, w]`` and one timestep to its prediction, shaped like the frames.
        scheduler: of diffusers, with its timesteps set.
        x0: clean latents of the condition and buffer frames ``[1, C, L + B, h, w]``.
        noise: ``[B, C, F, h, w]``.
        levels: timestep of each buffer.

    Raises:
        ValueError: the scheduler never comes to a level.

    Source: arXiv 2506.00996, algorithm 1, eq. 4 and 7.
    """
    timesteps = scheduler.timesteps
    never = set(levels) - set(timesteps.tolist())
    if never:
        raise ValueError(f"the schedule has no timestep {never}, so these buffers would never move")
    condition, target = x0.shape[2] - len(levels), noise.shape[2] - x0.shape[2]
    own = torch.tensor([CLEAN] * condition + list(levels) + [float(timesteps[0])] * target)
    x = noise.clone()
    x[:, :, :condition] = x0[:, :, :condition]
    for f in range(condition, x0.shape[2]):
        x[:, :, f] = _noised(scheduler, x0[:, :, f], noise[:, :, f], timesteps[timesteps == own[f]])
    for t, later in zip(timesteps, [*timesteps.tolist()[1:], CLEAN], strict=True):
        prediction = network(x, t)
        moving = own == t
        x[:, :, moving] = scheduler.step(prediction[:, :, moving], t, x[:, :, moving]).prev_sample
        own[moving] = later
    return x


def _noised(scheduler: Any, x0: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    if hasattr(scheduler, "scale_noise"):  # of a flow
        return scheduler.scale_noise(x0, timestep, noise)
    return scheduler.add_noise(x0, noise, timestep)
