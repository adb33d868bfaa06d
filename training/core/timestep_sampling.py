"""How global noise levels are drawn: densities, the shift, and the range."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import TrainConfig

EDGE = 1e-4  # levels of 0 and 1 teach nothing: all clean, or all noise
MODE_SCALE = 1.29  # of the mode density, the value of its paper
TRIES, DRAWS = 64, 4096  # how often, and how many levels at a time, a range is looked for


def sample_sigmas(count: int, density: str, shift: float, generator: torch.Generator) -> Tensor:
    """Global noise levels in (0, 1), shape ``[count]``, fp32.

    ``uniform``: s ~ U(0, 1).  ``logit_normal``: s = sigmoid(n), n ~ N(0, 1).
    ``mode``: s = 1 - u - 1.29 (cos^2(pi u / 2) - 1 + u), u ~ U(0, 1); the middle, but the ends too.
    ``high_noise``: s = sqrt(u), so that the density is 2 s: layout and motion are decided there.  Then
    ``sigma = shift s / (1 + (shift - 1) s)``.

    Source: Esser et al., arXiv 2403.03206, section 3.1 (densities) and equation 23 (shift).
    Differs: ``high_noise`` is ours; a logit-normal moved up would leave out the levels near 1.
    """
    from ...methods.flow import shift_sigmas

    if density in ("logit_normal", "mode"):
        from diffusers.training_utils import compute_density_for_timestep_sampling

        s = compute_density_for_timestep_sampling(density, count, 0.0, 1.0, MODE_SCALE, generator=generator)
    else:
        s = torch.rand(count, generator=generator)
    if density == "high_noise":
        s = s.sqrt()
    return shift_sigmas(s, shift).clamp(EDGE, 1.0 - EDGE)


def draw_sigmas(count: int, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Levels of the settings' density and shift, shape ``[count]``, those outside the settings' range left out.

    Raises:
        ValueError: the density has next to nothing within the range.
    """
    if config.sigma_low <= 0.0 and config.sigma_high >= 1.0:
        return sample_sigmas(count, config.density, config.shift, generator)
    found = torch.empty(0)
    for _ in range(TRIES):
        drawn = sample_sigmas(DRAWS, config.density, config.shift, generator)
        found = torch.cat([found, drawn[(drawn >= config.sigma_low) & (drawn <= config.sigma_high)]])
        if len(found) >= count:
            return found[:count]
    raise ValueError(
        f"the density {config.density} with a shift of {config.shift:g} has next to no noise levels between "
        f"{config.sigma_low:g} and {config.sigma_high:g}; widen the range or choose uniform"
    )
